"""Twenty commands as a new user would type them one after another: what is printed, exit codes, files."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from support.commandline import CommandLine

from latentry import read_recipe


@dataclass(frozen=True)
class Step:
    """A command and how it ends.

    Attributes:
        typed: without its first word.
        out: what standard output begins with; a picture's command prints its path and nothing else.
        err: words that standard error has.
        files: that are new.
        code: the exit code.
    """

    typed: str
    out: str = ""
    err: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    code: int = 0


RED = '"a red circle left of a blue square"'
DAY = (
    Step("", "Usage: latentry [OPTIONS] COMMAND"),
    Step("--version", "latentry "),
    Step("genrate a", code=2, err=("There is no command 'genrate'.", "generate")),
    Step("generate", code=2, err=("There is no prompt.", "latentry generate")),
    Step(f"generate {RED}", "picture.png\n", ("ddim", "seed"), ("picture.png",)),
    Step(f"generate {RED}", "picture-001.png\n", ("ddim",), ("picture-001.png",)),
    Step("show picture.png", "picture.png\n  prompt: a red circle left of a blue square"),
    Step("schedulers", "name "),
    Step("schedulers unpic", code=2, err=("unpic", "unipc")),
    Step("schedulers unipc", "unipc: third order"),
    Step(
        f"generate {RED} --scheduler unipc --steps 8 --seed 7", "picture-002.png\n", ("8 steps",), ("picture-002.png",)
    ),
    Step("generate --from picture-002.png --output same.png", "same.png\n", files=("same.png",)),
    Step("generate --from picture-002.png --seed 8 --output other.jpg", "other.jpg\n", files=("other.jpg",)),
    Step(f"generate {RED} --output same.png", code=2, err=("same.png exists", "--overwrite")),
    Step(f"generate {RED} --output same.png --overwrite -q"),
    Step(f"generate {RED} --setps 8", code=2, err=("--setps", "--steps")),
    Step(f"generate {RED} --steps eight", code=2, err=("--steps eight", "whole number")),
    Step(f"generate {RED} --model sdxl", code=2, err=("sdxl",)),
    Step(
        f"generate {RED} --seed 1..2 --steps 4 --output '{{scheduler}}-{{seed}}' --sheet sheet.png",
        "ddim-1.png\nddim-2.png\n",
        files=("ddim-1.png", "ddim-2.png", "sheet.png"),
    ),
    Step("show sheet.png", code=2, err=("sheet.png has no recipe.",)),
    Step("models", "name "),
)


def test_the_first_day(latentry: CommandLine, shapes: Path, tmp_path: Path) -> None:
    assert len(DAY) >= 20
    before: set[str] = set()
    for step in DAY:
        done = latentry(*shlex.split(step.typed), folder=tmp_path)
        said = f"latentry {step.typed}\n{done.out}{done.err}"
        assert done.code == step.code, said
        assert done.out.startswith(step.out), said
        if step.code or step.files:
            assert done.out in ("", step.out), said
        assert all(words in done.err for words in step.err), said
        assert not any(mark in done.out + done.err for mark in ("Traceback", "Warning", "\x1b")), said
        if step.code:
            first, *rest = done.err.splitlines()
            assert first.startswith("error: "), said
            assert rest or "must be" in first, said  # why, or what to do
        now = {path.name for path in tmp_path.iterdir()}
        assert now - before == set(step.files), said
        before = now
    first, again = (read_recipe(tmp_path / name) for name in ("picture-002.png", "other.jpg"))
    assert (first.request.seed, again.request.seed, again.derived is not None) == (7, 8, True)
    assert again.request.model_dump() | {"seed": 7} == first.request.model_dump()
