"""Why a package or GPU that a backend needs is not available here."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec

import torch

from latentry._discovery._problems import cause
from latentry._errors import PluginError


def package_problem(module: str, attribute: str, *, install: str) -> str | None:
    """Why a module's attribute cannot be used; None where it can. Imports the module.

    Args:
        module: e.g. ``flash_attn``.
        attribute: what is needed of it.
        install: the command that installs it.

    Raises:
        PluginError: it is installed but broken, such as a GPU package that was built for another torch.
    """
    if module.partition(".")[0] not in sys.modules and find_spec(module.partition(".")[0]) is None:
        return f"{module} is not installed: {install}."
    try:
        getattr(import_module(module), attribute)
    except Exception as error:
        raise PluginError(
            f"{module} is installed but cannot be used.",
            why=f"{module} is installed but cannot be used: {cause(error)}",
            remedy=f"Install a build for this torch, Python and GPU: {install}.",
        ) from error
    return None


def gpu_problem(least: tuple[int, int] = (0, 0), most: tuple[int, int] | None = None) -> str | None:
    """Why the current CUDA device cannot be used; None where it can.

    Args:
        least: lowest compute capability.
        most: highest compute capability, None for any.
    """
    if not torch.cuda.is_available():
        return "There is no CUDA device."
    here = torch.cuda.get_device_capability()
    if here >= least and (most is None or here <= most):
        return None
    wanted = f"{least[0]}.{least[1]}" + (" or higher" if most is None else f" to {most[0]}.{most[1]}")
    return f"It needs a GPU of compute capability {wanted}; this one's is {here[0]}.{here[1]}."
