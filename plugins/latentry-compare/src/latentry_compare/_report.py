"""What a comparison found, as data: ``report.json``, and what the page is made of."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from latentry import Setup
from latentry_compare._axes import Axes

SMALLEST = 1e-12
"""What a distance of 0 counts as in a geometric mean."""
DECIDED = {
    *("scheduler", "scheduler_options", "sigmas", "sigma_options", "final", "initial_noise", "steps"),
    *("guidance", "guidance_method", "guidance_options", "guidance_rescale", "guidance_interval", "strength"),
}
"""Fields of a request; those that name files are nobody else's business."""
Entry = Mapping[str, Any]
"""Of a manifest."""


@dataclass(frozen=True)
class Picture:
    """One picture.

    Attributes:
        file: its name in the folder; empty where it could not be drawn.
        distance: ‖x − x*‖ / ‖x*‖ of its latents and the reference's; None where there is none.
        error: why it could not be drawn.
    """

    file: str
    distance: float | None = None
    error: str = ""


@dataclass(frozen=True)
class Row:
    """One setting.

    Attributes:
        scheduler: as it was asked for, else the name of what was chosen.
        sigmas: the sigma schedule.
        steps: number of them.
        guidance: the scale.
        evaluations: of the network for a picture; the mean, where a scheduler chooses its own steps.
        seconds: wall time of a picture, drawn beside others.
        distance: the geometric mean of its pictures' distances; None where there are none.
        worst: the largest of them.
        pictures: in the order of ``Report.subjects``.
        elsewhere: why it is not held against the reference.
        request: what was decided about the sampling; the whole request is in each picture.
    """

    scheduler: str
    sigmas: str
    steps: int
    guidance: float
    evaluations: float | None
    seconds: float | None
    distance: float | None
    worst: float | None
    pictures: tuple[Picture, ...]
    elsewhere: str
    request: Mapping[str, Any]

    @classmethod
    def of(cls, setup: Setup, entries: Sequence[Entry], *, scheduler: str | None, elsewhere: str) -> Row:
        """The row of a setting, from the manifest's entries of its pictures.

        Args:
            setup: of its first picture.
            entries: of its pictures.
            scheduler: as it was asked for.
            elsewhere: see above.
        """
        request = setup.request
        assert request.steps is not None and isinstance(
            request.guidance, (int, float)
        )  # a curve is not one value of an axis
        figures = [entry.get("figures", {}) for entry in entries]
        pictures = tuple(map(_picture, entries))
        distances = [picture.distance for picture in pictures if picture.distance is not None]
        return cls(
            scheduler=short(scheduler or request.scheduler),
            sigmas=short(request.sigmas),
            steps=request.steps,
            guidance=request.guidance,
            evaluations=_mean([each["evaluations"] for each in figures if "evaluations" in each]),
            seconds=_mean([each["seconds"] for each in figures if "seconds" in each]),
            distance=typical(distances),
            worst=max(distances, default=None),
            pictures=pictures,
            elsewhere=elsewhere,
            request=request.model_dump(mode="json", include=DECIDED, exclude_none=True),
        )

    @property
    def failures(self) -> int:
        """Pictures that could not be drawn."""
        return sum(bool(picture.error) for picture in self.pictures)


@dataclass(frozen=True)
class Report:
    """What a comparison found.

    Attributes:
        model: its name, without the folders where it is.
        size: width and height of the pictures.
        prompts: the texts.
        seeds: of the noise.
        subjects: what each picture of a row shows: the index of a prompt, and a seed.
        references: a row for each guidance scale; their distances are to references of half the steps.
        rows: a row for each setting.
        together: how many pictures are drawn at a time.
        environment: device and dtype.
        latentry: version of the core.
    """

    model: str
    size: tuple[int, int]
    prompts: tuple[str, ...]
    seeds: tuple[int, ...]
    subjects: tuple[tuple[int, int], ...]
    references: tuple[Row, ...]
    rows: tuple[Row, ...]
    together: int
    environment: Mapping[str, str]
    latentry: str

    @property
    def failures(self) -> int:
        """Pictures that could not be drawn."""
        return sum(row.failures for row in (*self.references, *self.rows))

    def to_json(self) -> str:
        """As text."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"


def report_of(setup: Setup, axes: Axes, references: tuple[Row, ...], rows: tuple[Row, ...]) -> Report:
    """The report of rows.

    Args:
        setup: of any of them, for what is the same in all.
        axes: what was compared.
        references: rows of the references.
        rows: of the settings.
    """
    return Report(
        model=setup.located.name if setup.located.checkpoint else Path(setup.located.name).name,
        size=setup.size,
        prompts=tuple(str(prompt["prompt"]) for prompt in axes.prompts),
        seeds=tuple(axes.seeds),
        subjects=axes.subjects,
        references=references,
        rows=rows,
        together=min(setup.request.batch, len(axes.subjects)),
        environment={"device": str(setup.device), "dtype": str(setup.dtype).removeprefix("torch.")},
        latentry=setup.core,
    )


def typical(distances: Sequence[float]) -> float | None:
    """Their geometric mean, which single noises that end in another picture do not rule."""
    if not distances:
        return None
    return math.exp(fmean(math.log(max(distance, SMALLEST)) for distance in distances))


def short(name: Any) -> str:
    """``distribution:name`` without the distribution."""
    return str(name).rpartition(":")[2]


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None


def _picture(entry: Entry) -> Picture:
    if (error := entry["error"]) is not None:
        return Picture("", error=str(error["what"]))
    return Picture(entry["pictures"][0], entry.get("figures", {}).get("distance"))
