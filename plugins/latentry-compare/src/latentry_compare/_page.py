"""The page: one HTML file with everything in it."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from latentry_compare._plot import Curve, error_plot
from latentry_compare._report import Report, Row

QUALITY = 80
COLUMNS = {
    "scheduler": "scheduler",
    "steps": "steps",
    "guidance": "guidance",
    "evaluations": "evaluations",
    "distance": "distance",
    "worst": "worst",
    "seconds": "seconds",
    "sigmas": "sigmas",
}
"""Headings of the table by attribute of a row."""
LABELS = {"sigmas": "{}", "steps": "{} steps", "guidance": "guidance {:g}"}
"""What a row is called beside its scheduler, where its rows differ in it."""


@dataclass(frozen=True)
class Shown:
    """A row as the page has it.

    Attributes:
        id: of its element.
        row: what was found.
        name: what it is called.
        pictures: data URIs, empty where there is none.
        reference: whether it is one.
        against: the ``id`` of the reference that it is held against.
    """

    id: str
    row: Row
    name: str
    pictures: tuple[str, ...]
    reference: bool = False
    against: str = ""


def counted(number: int, noun: str) -> str:
    """A number with its noun."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def html(report: Report, folder: Path, *, thumbnail: int = 256) -> str:
    """The page of a comparison. It asks nothing of any network.

    Args:
        report: what was found.
        folder: where its pictures are.
        thumbnail: the longer side of the pictures in the page, in pixels.

    Raises:
        OSError: a picture is not there any more.
    """
    from jinja2 import Environment, StrictUndefined

    own = files(__package__) / "page"
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"figure": figure, "cell": cell}
    text = {name: (own / name).read_text(encoding="utf-8") for name in ("page.html.jinja", "page.css", "page.js")}
    return environment.from_string(text["page.html.jinja"]).render(
        report=report,
        style=text["page.css"],
        script=text["page.js"],
        plot=plot(report),
        columns={name: COLUMNS[name] for name in told(report)},
        shown=_shown(report, folder, thumbnail),
        heads=_heads(report),
        facts=_facts(report),
        asides=dict.fromkeys(f"{row.scheduler} {row.elsewhere}" for row in report.rows if row.elsewhere),
        width=report.size[0],
        height=report.size[1],
    )


def plot(report: Report) -> str:
    """Distance against evaluations, a panel for each guidance scale; empty where there are no distances."""
    panels: dict[str, dict[str, dict[float, float]]] = {}
    for row in report.rows:
        if row.distance is not None and row.evaluations is not None:
            curves = panels.setdefault(_panel(report, row), {})
            curves.setdefault(_series(report, row), {})[row.evaluations] = row.distance
    if not panels:
        return ""
    floors = {_panel(report, row): row.distance for row in report.references if row.distance}
    drawn: Mapping[str, Mapping[str, Curve]] = panels
    svg = error_plot(drawn, ylabel="distance to the reference", floors=floors, size=(5.4, 1.2 + 3.4 * len(panels)))
    return svg[svg.index("<svg") :]


def told(report: Report) -> list[str]:
    """The columns of the table: the scheduler, what differs and what was measured; sigmas early if compared."""
    measured = ("evaluations", "distance", "worst", "seconds")
    wanted = {name for name in measured if any(getattr(row, name) is not None for row in report.rows)}
    wanted |= {"scheduler", *(name for name in LABELS if _differ(report, name))}
    early = ["scheduler", "sigmas"] if _several_sigmas(report) else []
    return [name for name in dict.fromkeys((*early, *COLUMNS)) if name in wanted]


def cell(row: Row, name: str) -> str:
    """What a column says of a row."""
    value = getattr(row, name)
    if isinstance(value, str):
        return value
    if value is None:
        return "–*" if row.elsewhere and name == "distance" else "–"
    return figure(value) if name in ("distance", "worst", "seconds") else f"{round(value, 1):g}"


def figure(value: float | None) -> str:
    """Three digits, or a dash."""
    return "–" if value is None else f"{value:.3g}"


def _series(report: Report, row: Row) -> str:
    return " ".join([row.scheduler] + ([row.sigmas] if _several_sigmas(report) else []))


def _panel(report: Report, row: Row) -> str:
    return f"guidance {row.guidance:g}" if _differ(report, "guidance") else ""


def _differ(report: Report, attribute: str) -> bool:
    return len({getattr(row, attribute) for row in report.rows}) > 1


def _shown(report: Report, folder: Path, thumbnail: int) -> list[Shown]:
    """The references first."""
    found, references = [], dict[float, str]()
    for number, row in enumerate(report.references):
        references[row.guidance] = f"reference-{number}"
        parts = [LABELS["guidance"].format(row.guidance)] if len(report.references) > 1 else []
        name = ", ".join([f"reference: {row.scheduler}, {row.steps} steps", *parts])
        found.append(Shown(references[row.guidance], row, name, _pictures(row, folder, thumbnail), reference=True))
    for number, row in enumerate(report.rows):
        pictures, against = _pictures(row, folder, thumbnail), references.get(row.guidance, "")
        found.append(Shown(f"row-{number}", row, _name(report, row), pictures, against=against))
    return found


def _name(report: Report, row: Row) -> str:
    """What a row is called: what tells it from the others."""
    named = [name for name in LABELS if _differ(report, name) and (name != "sigmas" or _several_sigmas(report))]
    return ", ".join([row.scheduler, *(LABELS[name].format(getattr(row, name)) for name in named)])


def _several_sigmas(report: Report) -> bool:
    """Whether they were compared; else they follow from the scheduler and its steps."""
    return len({(row.scheduler, row.steps, row.guidance) for row in report.rows}) < len(report.rows)


def _facts(report: Report) -> str:
    """What is the same in all rows."""
    row, (width, height), about = report.rows[0], report.size, report.environment
    pictures = f"{counted(len(report.rows), 'setting')}, {counted(len(report.subjects), 'picture')} of each"
    same = [LABELS[name].format(getattr(row, name)) for name in ("steps", "guidance") if not _differ(report, name)]
    same += [] if _differ(report, "sigmas") else [f"sigmas {row.sigmas}"]
    return (
        ", ".join([pictures, f"{width}×{height} pixels", *same, *about.values(), f"Latentry {report.latentry}"]) + "."
    )


def _heads(report: Report) -> list[str]:
    """What stands above each picture."""
    several = len(report.prompts) > 1
    return [f"{report.prompts[prompt]}, seed {seed}" if several else f"seed {seed}" for prompt, seed in report.subjects]


def _pictures(row: Row, folder: Path, side: int) -> tuple[str, ...]:
    return tuple(_data_uri(folder / picture.file, side) if picture.file else "" for picture in row.pictures)


def _data_uri(path: Path, side: int) -> str:
    from PIL import Image

    out = io.BytesIO()
    with Image.open(path) as opened:
        small = opened.convert("RGB")
        small.thumbnail((side, side), Image.Resampling.LANCZOS)
        small.save(out, format="WEBP", quality=QUALITY, method=6)
    return f"data:image/webp;base64,{base64.b64encode(out.getvalue()).decode('ascii')}"
