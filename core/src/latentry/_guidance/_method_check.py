"""Checks what a guidance method yields and returns, so that a mistake in a plugin is an error and not a picture."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from torch import Tensor

from latentry._discovery._owner import owner_of
from latentry._errors import PluginError
from latentry._guidance._evaluate import Branch
from latentry._guidance._method import GuidanceMethod


def check_guide(method: GuidanceMethod, guide: object) -> None:
    """Guidance is a generator."""
    if not isinstance(guide, Generator):
        raise _fault(
            method,
            f"guide() returned {_kind(guide)}, and it must be a generator.",
            "Ask for at least one branch: uncond, cond = yield UNCOND, COND.",
        )


def check_branches(method: GuidanceMethod, branches: object, declared: frozenset[str]) -> None:
    """A method yields branches of the kinds that its record declares; the one with the prompt is always there."""
    if not (isinstance(branches, tuple) and branches and all(isinstance(branch, Branch) for branch in branches)):
        raise _fault(
            method,
            f"guide() yielded {_kind(branches)}, not branches.",
            "Yield a tuple: yield UNCOND, COND; yield COND,",
        )
    if undeclared := sorted({branch.kind for branch in branches} - declared - {"cond"}):
        raise _fault(
            method,
            f"guide() asks for a branch that its record does not declare: {', '.join(undeclared)}.",
            f"Declare it: GuidanceSpec(branches={set(declared | set(undeclared))!r}).",
        )


def check_result(method: GuidanceMethod, result: Any, x: Tensor) -> tuple[Tensor, Any]:
    """A method returns an output like the sample, and its memory."""
    memory = method.Memory
    if not (isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], memory)):
        raise _fault(
            method, f"guide() returned {_kind(result)}.", f"Return (output, {memory.__name__}(...)): output and memory."
        )
    output = result[0]
    if isinstance(output, Tensor) and (output.shape, output.dtype, output.device) == (x.shape, x.dtype, x.device):
        return output, result[1]
    found = (
        f"{output.dtype} of shape {tuple(output.shape)} on {output.device}"
        if isinstance(output, Tensor)
        else _kind(output)
    )
    raise _fault(
        method,
        f"guide() returned {found} as the output, where the sample is {x.dtype} of shape {tuple(x.shape)}.",
        "Keep shape, dtype and device of the answers.",
    )


def _fault(method: GuidanceMethod, why: str, remedy: str) -> PluginError:
    owner = owner_of(method)
    what = f"The {owner.record} of {owner.provenance.label} does not do what a guidance method must."
    return PluginError(what, why=why, remedy=remedy)


def _kind(value: object) -> str:
    return "nothing" if value is None else f"an object of type {type(value).__name__}"
