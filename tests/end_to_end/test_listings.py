"""Listings in a terminal: one line a record, nothing wider than the screen and no name broken; and one in full."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
from support.commandline import CommandLine, fresh

from latentry import PluginHost
from latentry._cli._listing._tables import news

if sys.platform == "win32":
    pytest.skip("needs pseudo-terminals", allow_module_level=True)

from support.terminal import on_terminal
from support.toy import PLUGIN, write_toy

KINDS = {
    "schedulers": "schedulers",
    "sigmas": "sigma_schedules",
    "families": "families",
    "models": "checkpoints",
    "attention": "attention_backends",
    "guidance": "guidance",
}


@pytest.fixture(scope="module")
def host() -> PluginHost:
    return PluginHost()


@pytest.mark.parametrize("command", [*KINDS, "plugins"])
def test_a_listing_fits_80_columns_with_a_line_for_each(command: str, host: PluginHost, tmp_path: Path) -> None:
    screen = on_terminal(command, folder=tmp_path)
    assert screen.code == 0
    assert screen.width <= 80
    names = [plugin.plugin for plugin in host.plugins] if command == "plugins" else list(getattr(host, KINDS[command]))
    header, *lines = screen.lines
    table = lines[: len(names)]
    assert sorted(line.split()[0] for line in table) == sorted(names)
    assert lines[len(names) : len(names) + 1] in ([], [""])
    assert header.startswith("name ")
    # bold alone, which is legible on light and on dark
    assert screen.styles <= {"\x1b[1m", "\x1b[0m"}


def luminance(red: int, green: int, blue: int) -> float:
    """Relative luminance by the formula of WCAG 2.2."""
    scaled = (value / 255 for value in (red, green, blue))
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in scaled]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def shade(number: int) -> tuple[int, int, int]:
    """A colour of the 256 whose first 16 are the terminal's own: the cube, then the greys."""
    assert number >= 16, "another colour in every terminal"
    if number >= 232:
        grey = 8 + 10 * (number - 232)
        return grey, grey, grey
    levels = (number - 16) // 36, (number - 16) // 6 % 6, (number - 16) % 6
    red, green, blue = (55 + 40 * level if level else 0 for level in levels)
    return red, green, blue


def test_the_bars_colours_stand_out_from_white_and_from_black(tmp_path: Path) -> None:
    model = ("--model", str(write_toy(tmp_path / "model")), "--plugin-dir", str(PLUGIN))
    screen = on_terminal("generate", "a", *model, "--steps", "2", folder=tmp_path, TERM="xterm-256color")
    assert screen.code == 0, screen.raw
    colours = {style for style in screen.styles if not re.fullmatch(r"\x1b\[[01]?m", style)}
    assert len(colours) >= 2
    for style in colours:
        found = re.fullmatch(r"\x1b\[38;5;(\d+)m", style)
        assert found, style
        light = luminance(*shade(int(found[1])))
        assert min(1.05 / (light + 0.05), (light + 0.05) / 0.05) >= 3, style  # what WCAG asks of graphics


def test_each_schedulers_line_says_what_counts(host: PluginHost, tmp_path: Path) -> None:
    header, *lines = on_terminal("schedulers", folder=tmp_path).lines
    assert header.split() == ["name", "order", "evals", "kind", "summary"]
    for line in lines[: len(host.schedulers)]:
        name, order, evaluations, kind, *summary = line.split()
        spec = host.schedulers[name]
        assert (int(order), evaluations, kind) == (
            spec.order,
            str(spec.evaluations or "any"),
            "SDE" if spec.stochastic else "ODE",
        )
        words = re.findall(r"\w+", spec.summary)
        *shown, last = re.findall(r"\w+", " ".join(summary))
        assert set(shown) <= set(words)
        assert any(word.startswith(last) for word in words)  # where the ellipsis cut it


def test_a_wide_terminal_shows_more_and_a_narrow_one_keeps_the_names(host: PluginHost, tmp_path: Path) -> None:
    wide = on_terminal("schedulers", folder=tmp_path, columns=200)
    assert {"aliases", "processes", "from"} < set(wide.lines[0].split())
    assert "latentry-ddim 0.1.0" in wide.raw
    narrow = on_terminal("schedulers", folder=tmp_path, columns=44)
    assert [line.split()[0] for line in narrow.lines[1 : len(host.schedulers) + 1]] == sorted(
        host.schedulers, key=lambda name: host.schedulers[name].stochastic
    )


def test_a_pipe_gets_everything(latentry: CommandLine, host: PluginHost, tmp_path: Path) -> None:
    table = latentry("schedulers", folder=tmp_path).out
    assert "…" not in table
    assert "\x1b" not in table
    for name in host.schedulers:
        assert f"{host.schedulers.provenance(name).distribution} " in table


def test_what_the_columns_say_is_not_repeated() -> None:
    assert news("second order, multistep, deterministic; the usual choice") == "the usual choice"
    assert (
        news("weak order 2, two evaluations a step, with ancestral noise after it") == "with ancestral noise after it"
    )
    assert news("third order, multistep, deterministic") == "third order, multistep, deterministic"
    assert news("First order of business") == "First order of business"


def chosen(latentry: CommandLine, folder: Path, *options: object) -> list[str]:
    done = latentry("schedulers", "--json", *options, folder=folder)
    assert done.code == 0, done.err
    return [item["select"] for item in json.loads(done.out)]


def test_filters_keep_what_they_say(latentry: CommandLine, host: PluginHost, tmp_path: Path) -> None:
    specs = {name: host.schedulers[name] for name in host.schedulers}
    stochastic = chosen(latentry, tmp_path, "--stochastic")
    assert set(stochastic) == {name for name, spec in specs.items() if spec.stochastic}
    assert set(chosen(latentry, tmp_path, "--deterministic")) == set(specs) - set(stochastic)
    few = chosen(latentry, tmp_path, "--few-steps", "--stochastic")
    assert {"lcm", "tcd"} <= set(few) < set(stochastic)
    assert all(specs[name].evaluations == 1 for name in few)


@pytest.mark.parametrize(
    ("model", "first", "process"),
    [("sdxl", "dpmpp-2m", "vp"), ("shapes-flux", "euler", "flow"), ("sd15-inpainting", "ddpm", "vp")],
)
def test_those_for_a_model_begin_with_what_it_prefers(
    latentry: CommandLine, host: PluginHost, tmp_path: Path, model: str, first: str, process: str
) -> None:
    names = chosen(latentry, tmp_path, "--for", model)
    assert names[0] == first
    assert set(names) == {name for name in host.schedulers if process in host.schedulers[name].processes}


def test_those_for_a_distilled_variant_stay_on_its_grid(
    latentry: CommandLine, tmp_path: Path, host: PluginHost
) -> None:
    variants = [variant for name in host.families for variant in host.families[name].variants if variant.on_grid]
    names = chosen(latentry, tmp_path, "--for", variants[0].name)
    assert names
    leaving = {name for name, spec in host.schedulers.items() if spec.off_grid and not spec.off_grid_by}
    assert not leaving & set(names)
    assert leaving & set(chosen(latentry, tmp_path))


def test_those_for_a_folder_are_found_without_its_weights(latentry: CommandLine, tmp_path: Path, shapes: Path) -> None:
    assert chosen(latentry, tmp_path, "--for", shapes) == chosen(latentry, tmp_path, "--for", "shapes")
    unknown = latentry("schedulers", "--for", "sd99", folder=tmp_path)
    assert (unknown.code, "neither a model, a family, a variant nor a path" in unknown.err) == (2, True)
    both = latentry("schedulers", "ddim", "--stochastic", folder=tmp_path)
    assert both.code == 2


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("schedulers", "UniPC"), ("arXiv:2302.04867", "corrector", "at most 1.0", "to 4 steps", "uni_pc_bh2")),
        (("schedulers", "dpm++ 2m sde"), ("stochastic", "weak order 2", "eta", "AUTOMATIC1111")),
        (("sigmas", "karras"), ("arXiv:2206.00364", "rho", "preferred by", "k-diffusion")),
        (("sigmas", "receding"), ("sa-solver", "dpmpp-2s-ancestral")),
        (("models", "shapes"), ("Apache-2.0", "--model", "ddim", "guidance")),
        (("families", "sdxl"), ("base", "turbo", "dpmpp-2m", "clip_skip", "variance preserving")),
        (("attention", "sdpa"), ("It can be used here", "float32", "kernel", "--attention-set")),
    ],
)
def test_everything_about_one_fits_too(command: tuple[str, ...], words: tuple[str, ...], tmp_path: Path) -> None:
    screen = on_terminal(*command, folder=tmp_path)
    assert screen.code == 0, screen.raw
    assert screen.width <= 80
    assert [line for line in screen.lines if re.search(r"[a-z]-$", line)] == []  # no name is broken at its dash
    text = " ".join(" ".join(screen.lines).split())
    assert [word for word in words if word not in text] == []
    assert not any(mark in text for mark in ("{", "['", "latentry._", "frozenset("))


def test_every_record_can_be_told_in_full(latentry: CommandLine, host: PluginHost, tmp_path: Path) -> None:
    for command, attribute in KINDS.items():
        done = latentry(command, *getattr(host, attribute), folder=tmp_path)
        assert done.code == 0, done.err
        assert not any(mark in done.out for mark in ("{'", "['", "latentry._", "frozenset(", "SigmaPreference"))


def test_verbose_prints_no_structures(latentry: CommandLine, tmp_path: Path) -> None:
    for command in ("sigmas", "families", "models", "attention", "guidance"):
        done = latentry(command, "--verbose", folder=tmp_path)
        assert done.code == 0, done.err
        assert not any(mark in done.out for mark in ("{", "['", "name=", "_numerics"))


def test_an_unknown_name_is_one_message(latentry: CommandLine, tmp_path: Path) -> None:
    for command in KINDS:
        done = latentry(command, "nothing-like-it", folder=tmp_path)
        assert (done.code, done.out) == (2, "")
        assert "nothing-like-it" in done.err


def test_listings_need_no_torch(tmp_path: Path) -> None:
    """A module of that name that cannot be imported."""
    (tmp_path / "torch.py").write_text("raise ImportError('not here')")
    for command in (*KINDS, "controls", "conditioners", "plugins"):
        done = fresh(command, folder=tmp_path, environment={"PYTHONPATH": str(tmp_path)})
        assert done.code == 0, done.err
