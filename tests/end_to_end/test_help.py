"""Help, versions and completion: what they say, in which width, and that nothing heavy is imported for them."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from support.commandline import CommandLine, clean_environment

from latentry import GenerationRequest, PluginHost
from latentry._cli._app import COMMANDS, PANELS, app
from latentry._cli._completion import NAMED
from latentry._cli._field_options import spelling
from latentry._cli._printing._other_options import OURS
from latentry._request._values._option import declared_options

SCRIPT = "import sys; from latentry_main import main; sys.exit(main())"
HEAVY = {"torch", "numpy", "diffusers", "transformers", "PIL"}


def run(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=clean_environment() | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_every_command_is_under_a_heading() -> None:
    assert sorted(name for names in PANELS.values() for name in names) == sorted(COMMANDS)


def test_summaries_are_what_the_commands_say_of_themselves() -> None:
    context = click.Context(app)
    for name, about in COMMANDS.items():
        command = app.get_command(context, name)
        assert command is not None
        assert command.get_short_help_str(200) == about.summary


def test_listing_the_commands_imports_none_of_them() -> None:
    code = (
        "import sys; from latentry_main import main; sys.argv[1:] = ['--help']; main(); "
        "print(*[name for name in sys.modules if '_commands.' in name], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stderr.strip(), "generate" in done.stdout) == ("", True)


def test_help_fits_80_columns_in_panels(latentry: CommandLine, tmp_path: Path) -> None:
    for arguments in (["-h"], *([name, "-h"] for name in COMMANDS)):
        done = latentry(*arguments, folder=tmp_path, environment={"COLUMNS": "80"})
        assert (done.code, done.err) == (0, "")
        assert max(map(len, done.out.splitlines())) <= 80, arguments
    assert latentry("--help", folder=tmp_path).out == latentry("-h", folder=tmp_path).out
    shown = latentry("-h", folder=tmp_path, environment={"COLUMNS": "80"}).out
    assert all(f"\n{heading}:\n" in shown for heading in PANELS)
    cut = [line.split()[0] for line in shown.splitlines()[1:] if line.endswith("...")]
    assert set(cut) <= {"plan"}
    panels = ("Prompt", "Model", "Sampling", "Guidance", "LoRA", "Pictures", "Device, memory and attention", "Output")
    shown = latentry("generate", "-h", folder=tmp_path).out
    assert all(f"\n{heading}:\n" in shown for heading in panels)
    assert "Examples:" in shown


def test_versions_are_those_of_what_is_installed(latentry: CommandLine, tmp_path: Path) -> None:
    import torch

    first, second, *plugins = latentry("--version", folder=tmp_path).out.splitlines()
    assert first == f"latentry {importlib.metadata.version('latentry')}"
    device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    assert f"torch {importlib.metadata.version('torch')}, device {device}" in second
    found = {(plugin.distribution, plugin.version) for plugin in PluginHost().plugins} - {("latentry", "0.1.0")}
    assert plugins == sorted(f"{name} {version}" for name, version in found)


def test_the_module_is_the_command(tmp_path: Path) -> None:
    done = run("-m", "latentry", "sigmas", "--json", folder=tmp_path)
    assert done.returncode == 0
    assert done.stdout == run("-c", SCRIPT, "sigmas", "--json", folder=tmp_path).stdout
    assert run("-m", "latentry", "nothing", folder=tmp_path).returncode == 2


COMPLETE = """
import sys
from latentry_main import main
code = main()
print(*sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
sys.exit(code)
"""


def completed(folder: Path, *words: str, code: str = COMPLETE) -> tuple[list[str], set[str]]:
    """What bash is offered for the last word, and the modules that were imported for it."""
    line = " ".join(("latentry", *words))
    asked = {"_LATENTRY_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words))}
    done = run("-c", code, folder=folder, **asked)
    assert done.returncode == 0, done.stderr
    return [item.partition(",")[2] for item in done.stdout.splitlines()], set(done.stderr.split())


def test_completion_knows_commands_options_and_installed_names(tmp_path: Path) -> None:
    host = PluginHost()
    expected = {
        ("sched",): ["schedulers"],
        ("generate", "--sche"): ["--scheduler"],
        ("generate", "--scheduler", "dpmpp"): [name for name in host.schedulers if name.startswith("dpmpp")],
        ("generate", "--model", "sha"): list(host.checkpoints),
        ("generate", "--sigmas", "k"): ["karras", "kl-optimal"],
        ("generate", "--offload", ""): ["none", "model", "blocks"],
        ("schedulers", "uni"): ["unipc", "unipc-adaptive"],
        ("families", "fl"): [name for name in host.families if name.startswith("fl")],
        ("check", "dd"): [name for name in host.schedulers if name.startswith("dd")],
    }
    for words, names in expected.items():
        offered, modules = completed(tmp_path, *words)
        assert offered == names, words
        assert not HEAVY & modules, words


def test_the_options_with_names_are_those_that_are_declared() -> None:
    declared = {
        spelling(field, option): option.names for field, option in declared_options(GenerationRequest) if option.names
    }
    assert declared == NAMED


def test_a_path_is_left_to_the_shell(tmp_path: Path) -> None:
    for words in (("show", "pic"), ("generate", "--from", "pic"), ("generate", "--init-image", "pic")):
        asked = {"_LATENTRY_COMPLETE": "bash_complete", "COMP_WORDS": f"latentry {' '.join(words)}"}
        done = run("-c", SCRIPT, folder=tmp_path, **asked, COMP_CWORD=str(len(words)))
        assert done.stdout == "file,pic\n"


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_takes_its_script(tmp_path: Path) -> None:
    """The script itself, with a program of this name on the path."""
    program = tmp_path / "bin" / "latentry"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\n{SCRIPT}\n")
    program.chmod(0o755)
    typed = (
        'eval "$(latentry completion bash)"; COMP_WORDS=(latentry schedulers uni) COMP_CWORD=2; '
        '_latentry_completion latentry; echo "${COMPREPLY[@]}"'
    )
    environment = clean_environment() | {"PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "--norc", "-c", typed], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout == "unipc unipc-adaptive\n", done.stderr


def test_help_and_versions_import_nothing_heavy(tmp_path: Path) -> None:
    for arguments in (["--help"], ["--version"], ["generate", "--help"], ["completion", "zsh"]):
        done = run("-c", COMPLETE, *arguments, folder=tmp_path)
        assert done.returncode == 0
        assert not HEAVY & set(done.stderr.split()), arguments


def test_options_by_the_names_of_other_programs_lead_to_ours(latentry: CommandLine, tmp_path: Path) -> None:
    generate = app.get_command(click.Context(app), "generate")
    assert generate is not None
    parameters = generate.get_params(click.Context(generate))
    own = {name for each in parameters for name in (*each.opts, each.human_readable_name)}
    names = [name for others in OURS.values() for name in others]
    assert set(OURS) <= own
    assert not own & set(names)
    assert len(names) == len(set(names))
    for typed, ours in {"--cfg-scale": "--guidance", "--num_inference_steps": "--steps", "--prompt": "PROMPT"}.items():
        done = latentry("generate", "a", typed, 7, folder=tmp_path)
        assert (done.code, done.err) == (2, f"error: There is no option {typed}.\n  It is {ours} here.\n")
    elsewhere = latentry("show", "a.png", "--cfg-scale", 7, folder=tmp_path)
    assert "--guidance" not in elsewhere.err
