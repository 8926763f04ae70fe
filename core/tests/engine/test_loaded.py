"""Loading a model warns about tensors that no network has."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from latentry._generate._kept._loaded_model import LoadedModel
from latentry.models import LoadReport


@pytest.mark.parametrize(
    ("unexpected", "warnings"),
    [
        ((), []),
        (("unet.a",), ["unknown tensors were not loaded: unet.a"]),
        (tuple("abcde"), ["unknown tensors were not loaded: a, b, c and 2 more"]),
    ],
)
def test_unknown_tensors_are_warned_about(
    unexpected: tuple[str, ...], warnings: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    model: Any = SimpleNamespace(report=LoadReport(1, (), unexpected), device="cpu")
    LoadedModel(model)
    assert [record.getMessage() for record in caplog.records] == warnings
