"""Every scheduler of the cookbook passes the conformance kit, as it stands on the page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.commandline import CommandLine
from support.pages import ROOT, Block, blocks

pytestmark = pytest.mark.slow

RECIPES = [block for block in blocks(ROOT / "docs" / "cookbook.md") if block.title]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.title)
def test_a_recipe_passes_the_kit(recipe: Block, latentry: CommandLine, tmp_path: Path) -> None:
    (tmp_path / recipe.title).write_text(recipe.text, encoding="utf-8")
    (name,) = re.findall(r'^ +name="([\w-]+)"', recipe.text, re.MULTILINE)
    done = latentry("check", name, "--plugin-dir", recipe.title, folder=tmp_path)
    assert done.code == 0, done.out
    assert "passed" in done.out


def test_without_its_guard_two_steps_lead_too_far(latentry: CommandLine, tmp_path: Path) -> None:
    """As the page says."""
    (recipe,) = (each for each in RECIPES if "LONGEST" in each.text)
    (tmp_path / recipe.title).write_text(recipe.text.replace(" or interval.h > LONGEST", ""), encoding="utf-8")
    done = latentry("check", "two-step", "--plugin-dir", recipe.title, folder=tmp_path)
    assert done.code == 1
    assert any("stability" in line and "FAILED" in line for line in done.out.splitlines())
