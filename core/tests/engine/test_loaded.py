"""What loading a model tells."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from latentry._generate._loaded_model import Loaded
from latentry.models import LoadReport


@pytest.mark.parametrize(
    ("unexpected", "told"),
    [
        ((), []),
        (("unet.a",), ["not known, and not used: unet.a"]),
        (tuple("abcde"), ["not known, and not used: a, b, c and 2 more"]),
    ],
)
def test_tensors_that_are_not_known_are_told(
    unexpected: tuple[str, ...], told: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    model: Any = SimpleNamespace(report=LoadReport(1, (), unexpected), device="cpu")
    Loaded(model)
    assert [record.getMessage() for record in caplog.records] == told
