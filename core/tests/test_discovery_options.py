"""Options that a person typed: what is wrong with them, in words."""

from __future__ import annotations

from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, model_validator

from latentry._discovery._options import accepts, create, option_names
from latentry._errors import OptionError


class Options(BaseModel):
    model_config = ConfigDict(extra="forbid")
    order: int = Field(default=2, ge=1, le=3, description="Order of the method.")
    kind: Literal["bh1", "bh2"] = "bh2"
    seed: int

    @model_validator(mode="after")
    def _fits(self) -> Options:
        if self.kind == "bh1" and self.order == 3:
            raise ValueError("bh1 goes up to order 2")
        return self


class Plain:
    def __init__(self, size: int = 1) -> None:
        self.size = size


def refused(**options: object) -> OptionError:
    with pytest.raises(OptionError) as caught:
        create("It", Options, options)
    return caught.value


def test_good_options_make_the_object() -> None:
    assert create("It", Options, {"order": "3", "seed": 1}) == Options(order=3, seed=1)
    assert create("It", Plain, {"size": 2}).size == 2


def test_a_value_out_of_range_says_the_range() -> None:
    error = refused(order=4, seed=1)
    assert error.what == "It cannot take option 'order' 4: it must be at most 3."
    assert error.why == "order: int, at least 1, at most 3, default 2. Order of the method."


def test_a_choice_says_the_choices() -> None:
    assert "kind: one of 'bh1', 'bh2', default 'bh2'" in refused(kind="bh3", seed=1).why


class Open(BaseModel):
    edges: Literal["canny", "lines"] | None = None
    mode: str | int | None = None
    level: float | None = Field(default=None, gt=0)
    cut: Literal["fine"] | None = "fine"
    needed: int | None


def test_what_may_be_left_open_reads_as_words() -> None:
    """None is among the values only where it is not what is meant without the option."""
    assert {name: accepts(field) for name, field in Open.model_fields.items()} == {
        "edges": "one of 'canny', 'lines'",
        "mode": "str or int",
        "level": "float, more than 0",
        "cut": "one of 'fine' or none",
        "needed": "int or none",
    }


def test_the_names_of_options() -> None:
    assert option_names(Options) == ("order", "kind", "seed")
    assert option_names(Plain) == ("size",)


def test_an_unknown_option_says_the_nearest() -> None:
    error = refused(ordr=2, seed=1)
    assert error.what == "It has no option 'ordr'."
    assert "Did you mean 'order'? Its options are: order, kind, seed." in error.remedy


def test_a_missing_option_is_named() -> None:
    error = refused()
    assert error.what == "It cannot take option 'seed': field required."
    assert "seed: int, required" in error.why


def test_options_that_do_not_go_together() -> None:
    assert refused(kind="bh1", order=3, seed=1).what == "It cannot take these options: bh1 goes up to order 2."


def test_all_faults_are_one_error() -> None:
    error = refused(order=0, kind="x", unknown=1)
    assert all(name in error.what for name in ("'order'", "'kind'", "'unknown'", "'seed'"))


def test_a_plain_class_takes_its_arguments() -> None:
    with pytest.raises(OptionError, match="unexpected keyword argument 'sise'") as caught:
        create("It", Plain, {"sise": 2})
    assert caught.value.remedy == "Did you mean 'size'? Its options are: size."
