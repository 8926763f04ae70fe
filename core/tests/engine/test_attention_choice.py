"""Which backends a request gets, and why; the crooked ones each fail in their own way."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from support.toy import PLUGIN as TOY
from support.toy import write_toy

from latentry import (
    Engine,
    GenerationRequest,
    IncompatibleError,
    OptionError,
    PluginError,
    PluginHost,
    UnknownName,
    read_recipe,
)
from latentry._attention._available import AvailableBackends
from latentry._attention._choice import ChosenAttention, choose_attention
from latentry._attention._names import parse_attention, written
from latentry.attention import attention_backend
from latentry.testing import eager_attention

CROOKED = TOY.parent / "crooked"
CPU = torch.device("cpu")


@pytest.fixture
def host() -> PluginHost:
    """The crooked backends alone."""
    return PluginHost(load=(), plugin_dirs=[CROOKED])


@pytest.fixture
def roster(host: PluginHost) -> AvailableBackends:
    return AvailableBackends(host)


def choose(roster: AvailableBackends, asked: str, **options: Any) -> ChosenAttention:
    return choose_attention(roster, asked, options, CPU, torch.float32)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("auto", {"": ("auto",)}),
        ("flash", {"": ("flash",)}),
        (" flash , sdpa ", {"": ("flash", "sdpa")}),
        ("joint=flash", {"": ("auto",), "joint": ("flash",)}),
        ("vae=sliced;flash,auto;text=native", {"": ("flash", "auto"), "vae": ("sliced",), "text": ("native",)}),
        ("a-dist:flash;vae=a-dist:flash,native", {"": ("a-dist:flash",), "vae": ("a-dist:flash", "native")}),
    ],
)
def test_attention_is_requested_by_name_and_role(text: str, parts: dict[str, tuple[str, ...]]) -> None:
    assert parse_attention(text) == parts
    assert parse_attention(written(parts)) == parts


@pytest.mark.parametrize("text", ["", ";", "flash;", "flash,", ",", "flash;sdpa", "vae=", "vae=a;vae=b", "a,a"])
def test_unreadable_text_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="cannot be understood"):
        parse_attention(text)


def test_an_unknown_role_is_refused_before_a_model_is_loaded() -> None:
    with pytest.raises(OptionError, match="no attention role 'mind'") as caught:
        parse_attention("mind=flash")
    assert "self, cross, joint, vae, text" in caught.value.remedy


def test_auto_takes_those_of_the_highest_rank_that_prove_right(
    roster: AvailableBackends, caplog: pytest.LogCaptureFixture
) -> None:
    """``wrong`` and ``maskless`` fail the numeric check, ``failing`` on call; ``rough`` is not exact."""
    with caplog.at_level(logging.INFO, "latentry.attention"):
        chosen = choose(roster, "auto")
    assert chosen.text == "crooked:narrow,crooked:fickle,crooked:wide"
    assert list(chosen.reasons) == ["crooked:narrow", "crooked:fickle", "crooked:wide"]
    assert "rank 30" in chosen.reasons["crooked:narrow"]
    notes = "\n".join(chosen.notes)
    for words in (
        "'wrong' is not used. On a small sample its error is 1.0e-02 without a mask",
        "'maskless' is not used. On a small sample its error is",
        "'failing' is not used. On a small sample it fails without a mask: RuntimeError: CUDA error: no kernel image",
        "'importing' is not used. ModuleNotFoundError: No module named",
        "'driverless' is not used. Its probe fails: OSError: libcudart.so.12",
    ):
        assert words in notes
        assert words.partition("not used. ")[2] in caplog.text
    assert "rough" not in notes  # it is not at fault
    assert "not rough: It is not exact" in caplog.text
    assert "crooked:narrow,crooked:fickle,crooked:wide" in caplog.text


def test_the_check_is_made_once_for_a_device_and_a_dtype(
    roster: AvailableBackends, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose(roster, "auto")

    def refuse(*anything: object) -> str:
        raise AssertionError("again")

    monkeypatch.setattr("latentry._attention._available.self_check", refuse)
    assert choose(roster, "vae=auto").text.split(";vae=") == [choose(roster, "auto").text] * 2
    with pytest.raises(AssertionError, match="again"):
        choose_attention(roster, "auto", {}, CPU, torch.float16)


def test_the_list_ends_with_a_backend_without_limits_or_with_torch(roster: AvailableBackends) -> None:
    assert choose_attention(roster, "auto", {}, CPU, torch.float16).text == "crooked:wide"
    assert choose_attention(roster, "auto", {}, CPU, torch.float64).text == "native"


def test_a_decided_request_is_decided_the_same_way_again(roster: AvailableBackends) -> None:
    for asked in ("auto", "narrow,auto", "vae=wide", "native", "wide;vae=native", "narrow,native"):
        decided = choose(roster, asked).text
        assert choose(roster, decided).text == decided


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("importing", "No module named"),
        ("driverless", "OSError: libcudart.so.12"),
    ],
)
def test_a_broken_backend_requested_by_name_is_an_error(roster: AvailableBackends, name: str, why: str) -> None:
    with pytest.raises(IncompatibleError, match=f"{name!r} cannot serve here") as caught:
        choose(roster, name)
    assert why in caught.value.why


def test_of_several_names_those_that_cannot_serve_are_skipped_with_a_note(roster: AvailableBackends) -> None:
    chosen = choose(roster, "driverless,wide")
    assert chosen.text == "crooked:wide"
    assert "driverless" in chosen.notes[0]
    with pytest.raises(IncompatibleError, match="'driverless', 'importing' cannot serve") as caught:
        choose(roster, "driverless,importing")
    assert len(caught.value.why.splitlines()) == 2


def test_unknown_names_are_refused(roster: AvailableBackends) -> None:
    with pytest.raises(UnknownName):
        choose(roster, "wdie")
    with pytest.raises(UnknownName):
        choose(roster, "wide", wdie={"level": 1})


def test_options_go_to_the_backend_they_are_for(roster: AvailableBackends) -> None:
    chosen = choose(roster, "narrow,wide", wide={"level": 3})
    assert chosen.options == {"crooked:wide": {"level": 3}}
    served = roster.guard(("crooked:narrow", "crooked:wide"), chosen.options)
    assert served is not None
    assert [getattr(candidate.backend, "level", None) for candidate in served._candidates] == [None, 3]
    assert choose(roster, chosen.text, **chosen.options).options == chosen.options
    with pytest.raises(OptionError, match="levle"):
        choose(roster, "wide", wide={"levle": 3})


def test_options_without_use_are_refused(roster: AvailableBackends) -> None:
    with pytest.raises(OptionError, match="crooked:wide have no effect") as caught:
        choose(roster, "narrow", wide={"level": 3})
    assert "gives crooked:narrow" in caught.value.why


def test_an_embedder_gets_a_backend_by_name(host: PluginHost) -> None:
    served = attention_backend("narrow,auto", device="cpu", dtype=torch.float32, host=host)
    assert served is not None
    assert served.names == ("crooked:narrow", "crooked:fickle", "crooked:wide")
    assert served.probe() is None
    assert attention_backend("native", device="cpu", dtype=torch.float32, host=host) is None
    with pytest.raises(OptionError, match="names a role"):
        attention_backend("vae=wide", device="cpu", dtype=torch.float32, host=host)


def test_without_any_backend_the_networks_go_their_own_way() -> None:
    assert attention_backend("auto", device="cpu", dtype=torch.float32, host=PluginHost(load=())) is None


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_torch_at_the_end_of_a_list_serves_the_rest(host: PluginHost, causal: bool, masked: bool) -> None:
    served = attention_backend("narrow,native", device="cpu", dtype=torch.float32, host=host)
    assert served is not None
    q, k, v = (torch.randn(1, 2, n, 80, generator=torch.Generator().manual_seed(n)) for n in (6, 9, 9))
    mask = torch.arange(9) != 4 if masked else None
    found = served.attend(q, k, v, mask=mask, causal=causal)
    assert torch.allclose(found.double(), eager_attention(q, k, v, mask=mask, causal=causal), atol=1e-5)


class TestEngine:
    """Requests to a model that only remembers what its attention was set to."""

    @pytest.fixture
    def engine(self) -> Engine:
        return Engine(PluginHost(load=("latentry",), plugin_dirs=[TOY, CROOKED]))

    @pytest.fixture
    def model(self, tmp_path: Path) -> str:
        return str(write_toy(tmp_path / "model"))

    def request(self, model: str, **wanted: Any) -> GenerationRequest:
        return GenerationRequest(prompt="a", model=model, seed=1, steps=2, **wanted)

    def test_generation_works_with_broken_backends_and_notes_them(self, engine: Engine, model: str) -> None:
        result = engine.generate(self.request(model))
        assert len(result.images) == 1
        assert sum("is not used" in note for note in result.notes) == 6  # the toys' own broken one too
        used = result.recipes[0].plugins
        assert [used[role].name for role in ("attention", "attention 2", "attention 3")] == [
            "crooked:narrow",
            "crooked:fickle",
            "crooked:wide",
        ]
        assert "highest that can serve" in used["attention"].why

    def test_a_picture_is_made_again_with_the_same_backends_and_reasons(
        self, engine: Engine, model: str, tmp_path: Path
    ) -> None:
        result = engine.generate(self.request(model, attention="wide,auto", attention_options={"wide": {"level": 2}}))
        recipe = read_recipe(result.save(tmp_path / "one.png")[0])
        assert recipe.request.attention_options == {"crooked:wide": {"level": 2}}
        assert engine.reproduce(recipe).recipes == (recipe,)

    def test_each_role_is_set_separately_and_restored(self, engine: Engine, model: str) -> None:
        loaded: Any = engine.load(engine.prepare(self.request(model)))
        engine.generate(self.request(model, attention="wide;vae=narrow,native;text=native"))
        assert [served and served.names for served in loaded.backends] == [
            ("crooked:wide",),
            ("crooked:narrow", "native"),
            None,
        ]
        assert loaded.roles == [None, "vae", "text"]

    def test_a_backend_that_fails_while_drawing_is_noted_with_the_picture(self, engine: Engine, model: str) -> None:
        loaded: Any = engine.load(engine.prepare(self.request(model)))
        decode = loaded.decode

        def decode_with_attention(latents: Any) -> Any:
            q = torch.randn(1, 1, 50, 128)
            loaded.backends[-1].attend(q, q, q)
            return decode(latents)

        loaded.decode = decode_with_attention
        result = engine.generate(self.request(model))
        assert (
            "'crooked:fickle' failed and is not used any more: RuntimeError: illegal memory access" in result.notes[-1]
        )
        assert engine.prepare(self.request(model)).request.attention == "crooked:narrow,crooked:wide"
        with pytest.raises(PluginError, match=r"'crooked:fickle' of .* failed"):
            engine.generate(self.request(model, attention="fickle"))
