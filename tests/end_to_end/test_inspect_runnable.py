"""``inspect`` says that a file can be run exactly where ``generate`` gets as far as loading its weights."""

from __future__ import annotations

from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from support.header_corpus import VARIANTS, Entry, corpus, denoiser, parts
from support.sparse import shapes_of, write_sparse

from latentry import LatentryError, PluginHost, inspect_model
from latentry._files._finding._access import Access
from latentry._files._finding._locate import locate
from latentry._files._finding._parts import PartSources
from latentry_diffusers.loading import load

pytestmark = pytest.mark.slow  # many that add up

ENTRIES = tuple(corpus())
CPU = torch.device("cpu")


class Reached(Exception):
    """The first weight would be read now."""


@pytest.fixture(scope="module")
def host() -> PluginHost:
    return PluginHost()


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> dict[str, PartSources]:
    """The other parts of each variant, as headers, and vocabularies."""
    from latentry_shapes.encoders import clip_tokenizer, t5_tokenizer

    root = tmp_path_factory.mktemp("parts")
    for folder in ("tokenizer", "tokenizer_2", "tokenizer_3"):
        clip_tokenizer().save_pretrained(root / "sdxl" / folder)
        t5_tokenizer().save_pretrained(root / "flux" / folder)
    clip_tokenizer().save_pretrained(root / "flux" / "tokenizer")
    found = {}
    for family, variant in VARIANTS:
        files = {}
        for name, network in parts(family, variant).items():
            if name != denoiser(family, variant):
                files[name] = str(write_sparse(root / f"{variant}.{name}.safetensors", shapes_of(network)))
        vocabularies = root / "sd3"
        if not vocabularies.exists():
            for number, make in enumerate((clip_tokenizer, clip_tokenizer, t5_tokenizer)):
                make().save_pretrained(vocabularies / ("tokenizer" if number == 0 else f"tokenizer_{number + 1}"))
        encoders = tuple(file for name, file in files.items() if name.startswith("text_encoder"))
        folder = {"sd": "sdxl", "sdxl": "sdxl", "sd3": "sd3", "flux": "flux"}[family]
        found[variant] = PartSources(files["vae"], encoders, str(root / folder))
    return found


@pytest.fixture
def stops_before_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading ends where the first tensor would be read; networks of the same configuration are built once."""
    real = load.build

    def built(part: Any) -> Any:
        key = (part.spec.network.target, repr(sorted(part.config.items(), key=str)))
        if key not in BUILT:
            BUILT[key] = real(part)
        return BUILT[key]

    def fill(*_: Any, **__: Any) -> None:
        raise Reached

    monkeypatch.setattr(load, "build", built)
    monkeypatch.setattr(load, "fill", fill)


BUILT: dict[tuple[str, str], Any] = {}


def inspected(host: PluginHost, path: Path) -> tuple[bool, tuple[str, ...], tuple[str, ...]]:
    """Whether it says that the file can be run, as which variants, and what it lacks."""
    try:
        seen = inspect_model(host, path)
    except LatentryError:
        return False, (), ()
    return seen.family is not None and bool(seen.found.variants), seen.found.variants, seen.found.missing


def generates(host: PluginHost, path: Path, variant: str | None, sources: PartSources) -> bool:
    """Whether ``generate`` would begin to read weights."""
    try:
        located = locate(host, str(path), variant, sources, Access(offline=True))
        host.families.load(located.family)(located.files, located.variant.name).load(CPU, torch.float32)
    except Reached:
        return True
    except LatentryError:
        return False
    raise AssertionError("nothing was loaded, and nothing was refused")


def asked_for(missing: tuple[str, ...], every: PartSources) -> PartSources:
    """The parts that ``inspect`` says to give."""
    return PartSources(
        every.vae if any("--vae" in sentence for sentence in missing) else None,
        every.text_encoders if any("--text-encoder" in sentence for sentence in missing) else (),
        every.tokenizer if any("--tokenizer" in sentence for sentence in missing) else None,
    )


def check(host: PluginHost, entry: Entry, every: PartSources, tmp_path: Path) -> None:
    path = entry.write(tmp_path)
    runs, variants, missing = inspected(host, path)
    assert runs == entry.runs, entry.name
    variant = (entry.variant if entry.variant in variants else variants[0]) if len(variants) > 1 else None
    assert generates(host, path, variant, asked_for(missing, every)) == runs, (entry.name, missing)
    if not runs:  # nor does anything given besides help
        assert not generates(host, path, entry.variant, every), entry.name


def test_the_corpus_is_large_and_half_of_it_runs() -> None:
    counted = Counter(entry.runs for entry in ENTRIES)
    assert len({entry.name for entry in ENTRIES}) == len(ENTRIES) >= 200
    assert abs(counted[True] - counted[False]) <= len(ENTRIES) // 10


@pytest.mark.usefixtures("stops_before_weights")
@pytest.mark.parametrize("entry", ENTRIES[::23], ids=lambda entry: entry.name)
def test_inspect_and_generate_agree_on_some(
    host: PluginHost, given: dict[str, PartSources], entry: Entry, tmp_path: Path
) -> None:
    check(host, entry, given[entry.variant], tmp_path)


@pytest.mark.slow
@pytest.mark.usefixtures("stops_before_weights")
@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_inspect_and_generate_agree(
    host: PluginHost, given: dict[str, PartSources], entry: Entry, tmp_path: Path
) -> None:
    check(host, entry, given[entry.variant], tmp_path)


@pytest.mark.parametrize(("family", "variant"), VARIANTS)
def test_the_parameters_that_inspect_counts_are_the_networks(family: str, variant: str) -> None:
    wanted = import_module(f"latentry_{family}.variants").PARAMETERS[variant]
    assert (
        sum(tensor.numel() for tensor in parts(family, variant)[denoiser(family, variant)].state_dict().values())
        == wanted
    )
