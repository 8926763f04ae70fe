"""Plans a checkpoint as single files, in the layouts in which models were first published."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePath

import torch

from latentry_diffusers.bundle.open import Bundle
from latentry_diffusers.convert.contents import Contents
from latentry_diffusers.convert.release import Release
from latentry_diffusers.files.safetensors_writer import Entry, Planned


def plan_single(parts: Sequence[Contents], bundle: Bundle, release: Release, out: PurePath) -> Iterator[Planned]:
    """The main file, and one for each part that is published separately, with the part's name before the suffix."""
    whole: list[Entry] = list(_marks(bundle))
    apart: list[Planned] = []
    for contents in parts:
        name = contents.part.spec.name
        place = release.places[name]
        entries = contents.original(place.prefix, place.layout)
        if place.apart:
            apart.append(Planned(out.with_name(f"{out.stem}.{name}{out.suffix}"), tuple(entries), {"format": "pt"}))
        else:
            whole += entries
    yield Planned(out, tuple(whole), release.metadata(bundle))
    yield from apart


def _marks(bundle: Bundle) -> Iterator[Entry]:
    """Empty marker tensors for what cannot be told from shapes."""
    marks = {
        "v_pred": bundle.scheduler.get("prediction_type") == "v_prediction",
        "ztsnr": bool(bundle.scheduler.get("rescale_betas_zero_snr")),
    }
    for name, holds in marks.items():
        if holds:
            yield Entry(name, (0,), torch.float32, lambda: torch.empty(0))
