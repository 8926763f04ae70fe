"""The suites of guidance, model sources, commands and executors: what is right passes, what is planted is found."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import click
import pytest
import torch
from torch import Tensor

from latentry import CommandSpec, ExecutorSpec, GenerationRequest, GuidanceSpec, ModelError, ModelSourceSpec
from latentry.batches import BatchSettings, DrawnLine, Line, draw_line
from latentry.guidance import COND, UNCOND, ClassifierFree, GuidanceMethod
from latentry.models import ResolvedPath
from latentry.testing import (
    KITS,
    CommandSuite,
    ExecutorSuite,
    GuidanceSubject,
    GuidanceSuite,
    ModelSourceSuite,
    PlainSubject,
)


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


class Shy(Shelf):
    def claims(self, text: str) -> bool:
        return False


class Broken(Shelf):
    def claims(self, text: str) -> bool:
        return text.split("/")[1] == "a"


SOURCES: dict[str, tuple[str, type[Shelf], dict[str, Any]]] = {
    "it claims everything": ("foreign", Greedy, {}),
    "it asks a service whether a name is its own": ("foreign", Asking, {}),
    "it answers None": ("answers", Vague, {}),
    "it changes its mind": ("answers", Alternating, {}),
    "an exception of its own": ("offline", Failing, {}),
    "it goes online when it must not": ("offline", Online, {}),
    "an error without a remedy": ("offline", Mute, {}),
    "a path that is not there": ("offline", Gone, {}),
    "a path without a name": ("offline", Bare, {}),
    "it does not claim its own": ("offline", Shy, {}),
    "it fails on what is not its own": ("foreign", Broken, {}),
    "it does not say what its names are like": ("spec", Shelf, {"names": " "}),
    "an exemption without a reason": ("spec", Shelf, {"exemptions": (("offline", ""),)}),
    "an exemption from nothing": ("spec", Shelf, {"exemptions": (("online", "why"),)}),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", SOURCES)
def test_a_fault_of_a_model_source_is_found(what: str) -> None:
    check, source, record = SOURCES[what]
    target = f"{__name__}:{source.__name__}"
    fields: dict[str, Any] = {"name": "planted", "target": target, "names": "shelf/name", "example": "shelf/a"}
    results = failed(
        "model_sources", PlainSubject.of(ModelSourceSpec(summary="s", **fields | record), ModelSourceSpec), check
    )
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


@click.command(add_help_option=False)
def helpless() -> None:
    """Has no --help."""


class Forgiving(click.Command):
    def main(self, *given: Any, **options: Any) -> Any:
        with contextlib.suppress(click.ClickException):
            return super().main(*given, **options)


@click.command(cls=Forgiving)
def forgiving() -> None:
    """Ends well whatever is typed."""


@click.command(help=" ")
@click.option("--much", help=" ")
def blank(much: str) -> None: ...


COMMANDS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "a function": ("target", "function", {}),
    "no help text": ("target", "silent", {}),
    "an option without a help text": ("target", "vague", {}),
    "it takes unknown options": ("help_text", "lenient", {}),
    "a name of the core": ("spec", "greet", {"name": "generate"}),
    "an empty summary": ("spec", "greet", {"summary": " "}),
    "a name in capitals": ("spec", "greet", {"name": "Greet"}),
    "an alias that the core has": ("spec", "greet", {"aliases": ("doctor",)}),
    "an exemption without a reason": ("spec", "greet", {"exemptions": (("help_text", ""),)}),
    "no --help": ("help_text", "helpless", {}),
    "it takes whatever is typed": ("help_text", "forgiving", {}),
    "help texts of blanks": ("target", "blank", {}),
}


@pytest.mark.parametrize("what", COMMANDS)
def test_a_fault_of_a_command_is_found(what: str) -> None:
    check, target, record = COMMANDS[what]
    fields: dict[str, Any] = {"name": "planted", "target": f"{__name__}:{target}", "summary": "s", **record}
    results = failed("commands", PlainSubject.of(CommandSpec(**fields), CommandSpec), check)
    assert results
    assert all(len(result.hint) > 30 for result in results)


class Local:
    """An executor that is right."""

    def run(self, lines: Sequence[Line], settings: BatchSettings) -> Iterator[DrawnLine]:
        engine = settings.engine()
        for line in lines:
            yield draw_line(engine, line, settings.suffix)


class TestLocal(ExecutorSuite):
    executor = ExecutorSpec(name="local-here", target=f"{__name__}:Local", summary="s")


class Dropping(Local):
    def run(self, lines: Sequence[Line], settings: BatchSettings) -> Iterator[DrawnLine]:
        return super().run(lines[:-1], settings)


class Repeating(Local):
    def run(self, lines: Sequence[Line], settings: BatchSettings) -> Iterator[DrawnLine]:
        for drawn in super().run(lines, settings):
            yield drawn
            yield drawn


class FromZero(Local):
    def run(self, lines: Sequence[Line], settings: BatchSettings) -> Iterator[DrawnLine]:
        return (replace(drawn, number=drawn.number - 1) for drawn in super().run(lines, settings))


class Exchanging(Local):
    def run(self, lines: Sequence[Line], settings: BatchSettings) -> Iterator[DrawnLine]:
        drawn = list(super().run(lines, settings))
        for one, other in zip(drawn, drawn[::-1], strict=True):
            yield replace(one, error=other.error)


class Giving(Local):
    def run(self, lines: Sequence[Line], settings: BatchSettings) -> Iterator[DrawnLine]:
        return (replace(drawn, files=(b"a picture",)) for drawn in super().run(lines, settings))


class Silent(Local):
    def run(self, lines: Sequence[Line], settings: BatchSettings) -> Iterator[DrawnLine]:
        return (replace(drawn, error=None) for drawn in super().run(lines, settings))


class Raising(Local):
    def run(self, lines: Sequence[Line], settings: BatchSettings) -> Iterator[DrawnLine]:
        engine = settings.engine()
        for line in lines:
            engine.generate(GenerationRequest(**line.fields))
            yield DrawnLine(line.number)


class Once(Local):
    done: ClassVar[set[int]] = set()

    def run(self, lines: Sequence[Line], settings: BatchSettings) -> Iterator[DrawnLine]:
        left = [line for line in lines if line.number not in self.done]
        self.done.update(line.number for line in left)
        return super().run(left, settings)


class Own(Local):
    def run(self, lines: Sequence[Line], settings: BatchSettings) -> Iterator[DrawnLine]:
        return super().run(lines, BatchSettings())


class Waiting(Local):
    def run(self, lines: Sequence[Line], settings: BatchSettings) -> Iterator[DrawnLine]:
        return super().run(lines[: max(line.number for line in lines)], settings)


class Closing(Local):
    def run(self, lines: Sequence[Line], settings: BatchSettings) -> Iterator[DrawnLine]:
        yield from super().run(lines, settings)
        if not lines:
            yield DrawnLine(0)


EXECUTORS: dict[str, tuple[str, type, dict[str, Any]]] = {
    "a line that is lost": ("each_line_once", Dropping, {}),
    "a line that comes twice": ("each_line_once", Repeating, {}),
    "numbers from 0": ("each_line_once", FromZero, {}),
    "errors of other lines": ("each_line_once", Exchanging, {}),
    "pictures of what was refused": ("each_line_once", Giving, {}),
    "faults that are not told": ("each_line_once", Silent, {}),
    "one fault ends all": ("each_line_once", Raising, {}),
    "lines of an earlier batch are left out": ("each_line_once", Once, {}),
    "an engine of its own": ("settings", Own, {}),
    "a fault without lines": ("no_lines", Waiting, {}),
    "something without lines": ("no_lines", Closing, {}),
    "a name in capitals": ("spec", Local, {"name": "Local"}),
    "an exemption without a reason": ("spec", Local, {"exemptions": (("no_lines", " "),)}),
}


@pytest.mark.parametrize("what", EXECUTORS)
def test_a_fault_of_an_executor_is_found(what: str) -> None:
    check, executor, record = EXECUTORS[what]
    fields: dict[str, Any] = {"name": "planted", "target": f"{__name__}:{executor.__name__}", "summary": "s", **record}
    results = failed("executors", PlainSubject.of(ExecutorSpec(**fields), ExecutorSpec), check)
    assert results
    assert all(len(result.hint) > 30 for result in results)
