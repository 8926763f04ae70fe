"""``k_diffusion.sampling`` without its package, which imports much more than its samplers need.

``pip install --no-deps -r requirements-peers.txt`` is enough for the tests that use it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any


def missing() -> str:
    """What has to be installed for it; empty if nothing."""
    return ", ".join(name for name in ("k_diffusion", "torchsde", "torchdiffeq") if find_spec(name) is None)


@contextmanager
def sampling() -> Iterator[Any]:
    """The module, which can be imported by its name while this lasts."""
    stubs = {name: ModuleType(name) for name in ("torchvision.transforms.functional", "torchvision.transforms")}
    stubs |= {"torchvision": ModuleType("torchvision"), "k_diffusion": ModuleType("k_diffusion")}
    stubs["torchvision"].transforms = stubs["torchvision.transforms"]  # type: ignore[attr-defined]
    stubs["torchvision.transforms"].functional = stubs["torchvision.transforms.functional"]  # type: ignore[attr-defined]
    where = find_spec("k_diffusion")
    assert where is not None
    stubs["k_diffusion"].__path__ = list(where.submodule_search_locations or ())
    before = {name: module for name, module in sys.modules.items() if _stubbed(name)}
    sys.modules.update(stubs)
    try:
        yield import_module("k_diffusion.sampling")
    finally:
        for name in filter(_stubbed, list(sys.modules)):
            del sys.modules[name]
        sys.modules.update(before)


def _stubbed(name: str) -> bool:
    return name.partition(".")[0] in ("torchvision", "k_diffusion")
