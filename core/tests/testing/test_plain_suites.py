"""The suites of guidance methods, model sources and commands: what is right passes, what is planted is found."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import click
import pytest
import torch
from torch import Tensor

from latentry import CommandSpec, GuidanceSpec, ModelError, ModelSourceSpec
from latentry.guidance import COND, UNCOND, ClassifierFree, GuidanceMethod
from latentry.models import ResolvedPath
from latentry.testing import KITS, CommandSuite, GuidanceSubject, GuidanceSuite, ModelSourceSuite, PlainSubject


class TestClassifierFree(GuidanceSuite):
    method = ClassifierFree


class Last(NamedTuple):
    push: Tensor | None = None


def planted(rule: Any, memory: type | None = None, **fields: Any) -> type[GuidanceMethod]:
    """A guidance method with another rule."""
    body = {"__module__": __name__, "guide": rule, **fields}
    if memory is not None:
        body |= {"Memory": memory, "__annotations__": {"Memory": ClassVar[type]}}
    return type("Planted", (GuidanceMethod,), body)


def by(rule: Any) -> Any:
    """A method's ``guide`` from a rule of query, unguided and guided output."""

    def guide(self: Any, query: Any, memory: Any) -> Any:
        uncond, cond = yield UNCOND, COND
        return rule(query, uncond, cond), memory

    return guide


def plain(query: Any, uncond: Any, cond: Any) -> Tensor:
    return torch.lerp(uncond.output, cond.output, query.scale)


def only_cond(self: Any, query: Any, memory: Any) -> Any:
    (cond,) = yield (COND,)
    return cond.output * query.scale, memory


def momentum(self: Any, query: Any, memory: Any) -> Any:
    uncond, cond = yield UNCOND, COND
    push = cond.output - uncond.output
    kept = push if memory.push is None else push + 0.5 * memory.push
    return cond.output + (query.scale - 1) * kept, Last(push)


KEPT: dict[str, Tensor] = {}


def keeping(query: Any, uncond: Any, cond: Any) -> Tensor:
    last = KEPT.get("last", torch.zeros(()))
    KEPT["last"] = torch.ones(()) * (len(KEPT) + float(last))
    return plain(query, uncond, cond) + 0.1 * last


def writing(query: Any, uncond: Any, cond: Any) -> Tensor:
    cond.output.mul_(2.0)
    return plain(query, uncond, cond)


def normed(query: Any, uncond: Any, cond: Any) -> Tensor:
    push = cond.output - uncond.output
    return cond.output + (query.scale - 1) * push / push.square().mean((1, 2, 3), keepdim=True).sqrt()


GUIDANCE: dict[str, tuple[str, Any, dict[str, Any]]] = {
    "guided and unguided exchanged": (
        "neutral",
        planted(by(lambda q, u, c: torch.lerp(c.output, u.output, q.scale))),
        {},
    ),
    "the scale counts from 0": ("neutral", planted(by(lambda q, u, c: c.output + q.scale * (c.output - u.output))), {}),
    "no effect": ("neutral", planted(by(lambda q, u, c: c.output)), {}),
    "a mean over the batch": ("batch", planted(by(lambda q, u, c: plain(q, u, c) - plain(q, u, c).mean())), {}),
    "state outside the memory": ("repeatable", planted(by(keeping)), {}),
    "a draw": ("repeatable", planted(by(lambda q, u, c: plain(q, u, c) + 0 * torch.randn(()))), {}),
    "it writes into an answer": ("repeatable", planted(by(writing)), {}),
    "a norm of 0": ("finite", planted(by(normed)), {}),
    "a branch that is not asked for": ("branches", planted(only_cond), {}),
    "a branch that is not declared": ("branches", ClassifierFree, {"branches": frozenset()}),
    "not a generator": ("branches", planted(lambda self, query, memory: (query.x, memory)), {}),
    "another shape": ("branches", planted(by(lambda q, u, c: c.output[:1])), {}),
    "another dtype": ("branches", planted(by(lambda q, u, c: plain(q, u, c).float())), {}),
    "memory that is not declared": ("spec", planted(momentum, Last), {}),
    "an option without a description": (
        "options",
        planted(by(plain), part=0.5, __annotations__={"part": float}),
        {},
    ),
}


def failed(kind: str, subject: Any, check: str) -> list[Any]:
    return [result for result in KITS[kind].run(subject, check) if not result.passed]


def guidance(method: Any, **record: Any) -> GuidanceSubject:
    fields = {"name": "planted", "target": "nowhere:Nothing", "summary": ""} | record
    return GuidanceSubject.of(method, spec=GuidanceSpec(**fields))


@pytest.mark.parametrize("what", GUIDANCE)
def test_a_fault_of_a_guidance_method_is_found(what: str) -> None:
    check, method, record = GUIDANCE[what]
    results = failed("guidance", guidance(method, **record), check)
    assert results
    assert all(len(result.hint) > 30 for result in results)


def test_a_method_with_a_memory_passes() -> None:
    subject = guidance(planted(momentum, Last), memory=True)
    assert [str(r) for check in KITS["guidance"].checks for r in failed("guidance", subject, check)] == []


class Shelf:
    """A model source that is right."""

    def claims(self, text: str) -> bool:
        return text.startswith("shelf/")

    def fetch(self, text: str, options: Any) -> ResolvedPath:
        raise ModelError(f"There is no {text}.", remedy="Use shelf/one.")


class TestShelf(ModelSourceSuite):
    source = ModelSourceSpec(
        name="shelf", target=f"{__name__}:Shelf", summary="s", names="shelf/name", example="shelf/a"
    )


class Greedy(Shelf):
    def claims(self, text: str) -> bool:
        return True


class Asking(Shelf):
    def claims(self, text: str) -> bool:
        with contextlib.suppress(OSError):
            socket.getaddrinfo("example.org", 443)
        return text.startswith("shelf/")


class Vague(Shelf):
    def claims(self, text: str) -> Any:
        return text.startswith("shelf/") or None


class Failing(Shelf):
    def fetch(self, text: str, options: Any) -> ResolvedPath:
        raise KeyError(text)


class Online(Shelf):
    def fetch(self, text: str, options: Any) -> ResolvedPath:
        try:
            socket.create_connection(("example.org", 443))
        except OSError as error:
            raise ModelError("There is no network.", remedy="Connect.") from error
        raise AssertionError


class Mute(Shelf):
    def fetch(self, text: str, options: Any) -> ResolvedPath:
        raise ModelError("No.")


class Gone(Shelf):
    def fetch(self, text: str, options: Any) -> ResolvedPath:
        return ResolvedPath(Path("/nowhere/at/all"), text)


class Bare(Shelf):
    def fetch(self, text: str, options: Any) -> Any:
        return Path(__file__)


class Alternating(Shelf):
    asked = 0

    def claims(self, text: str) -> bool:
        Alternating.asked += 1
        return text.startswith("shelf/") or (text == "owner/name" and Alternating.asked % 2 == 0)


SOURCES = {
    "it claims everything": ("foreign", Greedy),
    "it asks a service whether a name is its own": ("foreign", Asking),
    "it answers None": ("answers", Vague),
    "it changes its mind": ("answers", Alternating),
    "an exception of its own": ("offline", Failing),
    "it goes online when it must not": ("offline", Online),
    "an error without a remedy": ("offline", Mute),
    "a path that is not there": ("offline", Gone),
    "a path without a name": ("offline", Bare),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", SOURCES)
def test_a_fault_of_a_model_source_is_found(what: str) -> None:
    check, source = SOURCES[what]
    target = f"{__name__}:{source.__name__}"
    record = ModelSourceSpec(name="planted", target=target, summary="s", names="shelf/name", example="shelf/a")
    results = failed("model_sources", PlainSubject.of(record, ModelSourceSpec), check)
    assert results
    assert all(len(result.hint) > 30 for result in results)


@click.command()
@click.option("--loudly", is_flag=True, help="In capitals.")
def greet(loudly: bool) -> None:
    """Say hello."""
    raise AssertionError("the suite runs no command")


class TestGreet(CommandSuite):
    command = CommandSpec(name="greet", target=f"{__name__}:greet", summary="Say hello.")


@click.command()
def silent() -> None: ...


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("rest", nargs=-1)
def lenient(rest: tuple[str, ...]) -> None:
    """Takes anything."""


@click.command()
@click.option("--much")
def vague(much: str) -> None:
    """Has an option that nobody explains."""


def function() -> None:
    """Only a function."""


COMMANDS = {
    "a function": ("target", "function", {}),
    "no help text": ("target", "silent", {}),
    "an option without a help text": ("target", "vague", {}),
    "it takes unknown options": ("help_text", "lenient", {}),
    "a name of the core": ("spec", "greet", {"name": "generate"}),
    "an empty summary": ("spec", "greet", {"summary": " "}),
}


@pytest.mark.parametrize("what", COMMANDS)
def test_a_fault_of_a_command_is_found(what: str) -> None:
    check, target, record = COMMANDS[what]
    fields = {"name": "planted", "target": f"{__name__}:{target}", "summary": "s"} | record
    results = failed("commands", PlainSubject.of(CommandSpec(**fields), CommandSpec), check)
    assert results
    assert all(len(result.hint) > 30 for result in results)
