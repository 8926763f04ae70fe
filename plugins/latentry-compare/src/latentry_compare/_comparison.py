"""Draws what a comparison lacks into its folder, and measures it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from latentry import Engine, GenerationResult, LatentryError, OptionError
from latentry.batches import BatchFolder, DrawnLine, Line, failed_line, finished_line
from latentry_compare._axes import Axes, Setting
from latentry_compare._drawing import Drawing, Outcome, Told
from latentry_compare._reference import KeptReferences, Reference, distance
from latentry_compare._report import Report, Row, report_of
from latentry_compare._settled import Settled, elsewhere, prepared, settle

SUFFIX = ".png"
OF_THE_COMPARED = ("scheduler_options", "sigma_options")
"""Fields of all requests that are not the reference's, whose scheduler is another."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What is compared, and what is the same in all.

    Attributes:
        axes: what is compared.
        common: fields of all requests, e.g. the model.
        reference: what the results are held against; None to measure no distance.
    """

    axes: Axes
    common: Mapping[str, Any] = field(default_factory=dict)
    reference: Reference | None = field(default_factory=Reference)


def compare(
    engine: Engine, comparison: Comparison, folder: Path, *, resume: bool = False, told: Told = lambda *_: None
) -> Report:
    """Draws every combination into a folder, and measures how far each is from its reference.

    What is in the folder already is not drawn again. The pictures of one setting are drawn together, as many at a time
    as the request's ``batch``.

    Args:
        engine: draws.
        comparison: what is compared.
        folder: for pictures, ``manifest.jsonl`` and the latents of the references.
        resume: go on with what is there.
        told: called before each group of pictures, and at the end.

    Raises:
        OptionError: the folder holds a comparison already, or a value of an axis has no effect.
        LatentryError: a setting cannot be drawn. What fails while it is drawn is in the report.
        OSError: the folder cannot be written to.
    """
    groups = list(_groups(comparison, settle(engine, comparison.axes, comparison.common)))
    references = _references(engine, comparison, groups)
    batch = BatchFolder(folder, resume=resume, seed=0)
    everything = [*references.values(), *groups]
    total = sum(len(group.lines) for group in everything)
    engine.load(groups[0].settled.setup)  # so that no picture's time has it
    filling = _Filling(batch, KeptReferences(folder), Drawing(engine, total, told))
    for group in references.values():
        assert comparison.reference is not None
        filling.draw_references(group, comparison.reference)
    for group in groups:
        filling.draw(group, None if group.settled.elsewhere else references.get(group.settled.guidance))
    batch.close([line for group in everything for line in group.lines])
    told(total, total, "done")
    return report_of(
        groups[0].settled.setup,
        comparison.axes,
        tuple(filling.row(group) for group in references.values()),
        tuple(filling.row(group) for group in groups),
    )


@dataclass(frozen=True)
class _Group:
    """The lines of one setting, or of the references at one guidance scale."""

    settled: Settled
    lines: tuple[Line, ...]
    words: str


def _groups(comparison: Comparison, settled: Sequence[Settled]) -> Iterator[_Group]:
    """One for each setting. The lowest numbers are left to the references, whether there are any or not."""
    axes = comparison.axes
    scales = len({each.guidance for each in settled})
    for number, each in enumerate(settled, scales):
        fields = {**comparison.common, **each.setting.fields}
        words = " ".join(str(value) for value in each.setting if value is not None)
        yield _Group(each, axes.lines(number, fields), words or "the model's own")


def _references(engine: Engine, comparison: Comparison, groups: Sequence[_Group]) -> dict[float, _Group]:
    """One for each guidance scale.

    Raises:
        OptionError: the scheduler draws noise of its own.
    """
    axes, reference = comparison.axes, comparison.reference
    if reference is None:
        return {}
    common = {name: value for name, value in comparison.common.items() if name not in OF_THE_COMPARED}
    found = {}
    for number, scale in enumerate(dict.fromkeys(group.settled.guidance for group in groups)):
        fields = {**common, **reference.fields, "guidance": scale}
        lines = axes.lines(number, fields)
        setup = prepared(engine, lines[0].fields)
        if why := elsewhere(engine, setup):
            raise OptionError(
                f"{setup.request.scheduler} cannot draw references: it {why}.",
                remedy="Name a scheduler that is deterministic.",
            )
        setting = Setting(None, None, reference.steps, scale)
        found[scale] = _Group(Settled(setting, setup, ""), lines, "reference")
    return found


@dataclass(frozen=True)
class _Filling:
    """Fills a folder."""

    batch: BatchFolder
    kept: KeptReferences
    drawing: Drawing

    def draw_references(self, group: _Group, reference: Reference) -> None:
        """Draws the references that are not there, in all steps and in half of them."""
        lacking = [line for line in group.lines if self._undrawn(line) or self.kept.read(line) is None]
        for wholes in self.drawing(group.lines, lacking, group.words):
            halves = self.drawing.together([reference.halved(whole.line) for whole in wholes])
            for whole, half in zip(wholes, halves, strict=True):
                self._write_reference(whole, half)

    def draw(self, group: _Group, references: _Group | None) -> None:
        """Draws the pictures of a setting that are not there, or were held against other references."""
        against = [*references.lines] if references else [None] * len(group.lines)
        pairs = {line.number: reference for line, reference in zip(group.lines, against, strict=True)}
        lacking = [line for line in group.lines if self._undrawn(line) or self._differs(line, pairs[line.number])]
        for outcomes in self.drawing(group.lines, lacking, group.words):
            for outcome in outcomes:
                self._write(outcome, self._held_against(pairs[outcome.line.number], outcome.result))

    def _write_reference(self, whole: Outcome, half: Outcome) -> None:
        """Writes a reference with what it still lacks; with the error of either where one failed."""
        if isinstance(whole.result, LatentryError) or isinstance(half.result, LatentryError):
            failed = whole if isinstance(whole.result, LatentryError) else replace(half, line=whole.line)
            self._write(failed, {})
            return
        self.kept.write(whole.line, whole.result.latents)
        self._write(whole, {"distance": distance(half.result.latents, whole.result.latents)})

    def _held_against(self, reference: Line | None, result: GenerationResult | LatentryError) -> dict[str, Any]:
        """The distance of a picture, and from what, where there is something."""
        latents = None if reference is None else self.kept.read(reference)
        if latents is None or isinstance(result, LatentryError):
            return {}
        return {"distance": distance(result.latents, latents), "reference": self._digest(reference)}

    def row(self, group: _Group) -> Row:
        """What was found of a group."""
        entries = [entry for line in group.lines if (entry := self.batch.entry(line)) is not None]
        settled = group.settled
        return Row.of(settled.setup, entries, scheduler=settled.setting.scheduler, elsewhere=settled.elsewhere)

    def _undrawn(self, line: Line) -> bool:
        return bool(self.batch.unfinished([line]))

    def _digest(self, reference: Line | None) -> str | None:
        entry = None if reference is None else self.batch.entry(reference)
        return None if entry is None else entry["request"]

    def _differs(self, line: Line, reference: Line | None) -> bool:
        entry = self.batch.entry(line)
        return entry is None or entry.get("figures", {}).get("reference") != self._digest(reference)

    def _write(self, outcome: Outcome, figures: Mapping[str, Any]) -> None:
        line, result = outcome.line, outcome.result
        if isinstance(result, LatentryError):
            drawn: DrawnLine = failed_line(line, result)
        else:
            measured = {"evaluations": result.evaluations, "seconds": outcome.seconds, **figures}
            drawn = replace(finished_line(line, result, SUFFIX), figures=measured)
        self.batch.write(line, drawn, SUFFIX)
