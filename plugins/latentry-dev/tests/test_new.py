"""Every template is a project that passes its own tests unchanged, in a fresh environment, and can draw."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest
from packaging.licenses import canonicalize_license_expression
from support.commandline import fresh
from support.distributions import CORE
from support.isolated import PLUGINS, Environment, build_wheels, make_environment

from latentry.testing import CommandSuite
from latentry_dev.kinds import KINDS, LOOSE

WITHOUT_MODEL = [kind for kind in KINDS if kind != "checkpoint"]
WITH_SHIPPED_MODELS = ("conditioner", "executor")
"""Kinds whose tests steer or draw with a model that is installed."""
IMPORTS = re.compile(r"^(?:import|from) (torch|diffusers|transformers)\b", re.MULTILINE)


class TestNew(CommandSuite):
    command = "new"


def new(folder: Path, kind: str, name: str, *more: object) -> Path:
    """The project that the command writes."""
    done = fresh("new", kind, name, "--into", folder, *more, folder=folder)
    assert done.code == 0, done.err
    project = folder / f"latentry-{name}"
    assert f"{project} is written" in done.out
    return project


@pytest.mark.parametrize("kind", KINDS)
def test_the_files_that_a_command_reads_are_written_by_those_before_it(kind: str) -> None:
    *before, last = KINDS[kind].commands("mine", "latentry_mine")
    read = re.findall(r"[\w-]+\.(?:safetensors|png)", last)
    assert all(any(command.endswith(f" {file}") for command in before) for file in read)
    assert len(before) == len(read)


@pytest.mark.slow
@pytest.mark.parametrize("kind", WITHOUT_MODEL)
def test_a_project_is_whole(tmp_path: Path, kind: str) -> None:
    project = new(tmp_path, kind, "my-own")
    table = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert table["name"] == "latentry-my-own"
    assert table["dependencies"][0] == "latentry>=0.1,<2"
    assert table["entry-points"]["latentry"] == {"my-own": "latentry_my_own"}
    assert canonicalize_license_expression(table["license"]) == "Apache-2.0"
    written = {path.relative_to(project).as_posix() for path in project.rglob("*") if path.is_file()}
    assert written >= {"LICENSE", "README.md", ".gitignore", ".github/workflows/tests.yml", "tests/test_my_own.py"}
    texts = [path.read_text(encoding="utf-8") for path in project.rglob("*") if path.is_file()]
    assert not any("{{" in text.replace("${{ matrix.python }}", "") or "{%" in text for text in texts)
    assert not any("MODULE" in path or "NAME" in path for path in written)
    page = (project / "README.md").read_text(encoding="utf-8")
    assert "\n".join(KINDS[kind].commands("my-own", "latentry_my_own")) in page
    record = (project / "src" / "latentry_my_own" / "__init__.py").read_text(encoding="utf-8")
    assert IMPORTS.findall(record) == []


def test_a_scheduler_is_under_45_lines_all_told(tmp_path: Path) -> None:
    project = new(tmp_path, "scheduler", "mine")
    files = [*project.glob("src/**/*.py"), *project.glob("tests/*.py")]
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files) < 45


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("scheduler", "Mine"), "A plugin cannot be called 'Mine'"),
        (("scheduler", "my_own"), "lower-case letters and digits, joined by dashes"),
        (("scheduler", "../mine"), "A plugin cannot be called"),
        (("sampler", "mine"), "sampler"),
        (("checkpoint", "mine"), "A checkpoint needs --model"),
        (("scheduler", "mine", "--model", "."), "--model is for checkpoints, not for a scheduler"),
        (("family", "mine", "--loose"), "A family cannot be a single file"),
        (("checkpoint", "mine", "--model", "."), "No installed model family recognises"),
    ],
)
def test_what_cannot_be_is_one_error(tmp_path: Path, arguments: Sequence[str], words: str) -> None:
    done = fresh("new", *arguments, folder=tmp_path)
    assert done.code == 2
    assert words in done.err
    assert "Traceback" not in done.err
    assert list(tmp_path.glob("*mine*")) == []


@pytest.mark.slow
def test_nothing_is_overwritten(tmp_path: Path) -> None:
    project = new(tmp_path, "scheduler", "mine")
    (project / "README.md").write_text("mine", encoding="utf-8")
    done = fresh("new", "scheduler", "mine", "--into", tmp_path, folder=tmp_path)
    assert done.code == 2
    assert "exists" in done.err
    assert (project / "README.md").read_text(encoding="utf-8") == "mine"


@pytest.mark.slow
@pytest.mark.parametrize("kind", LOOSE)
def test_one_file_is_enough(tmp_path: Path, kind: str) -> None:
    assert fresh("new", kind, "my-own", "--loose", folder=tmp_path).code == 0
    assert (tmp_path / "my_own.py").is_file()
    again = fresh("new", kind, "my-own", "--loose", folder=tmp_path)
    assert again.code == 2
    assert "exists" in again.err
    quick = [word for name in ("spec", "options", "listing") for word in ("--only", name)]
    done = fresh("check", "./my_own.py", *quick, folder=tmp_path)
    assert done.code == 0, done.out + done.err
    assert "my-own: 3 findings passed" in done.out


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The core, Euler and pytest, and none of the libraries of our own families."""
    folder = tmp_path_factory.mktemp("fresh")
    made = make_environment(folder, "latentry", also=("pytest",))
    made.install(*build_wheels(folder / "wheels", CORE, PLUGINS / "latentry-euler"))
    return made


def run_tests_of(environment: Environment, project: Path) -> None:
    """Runs a project's own tests."""
    done = environment.run("-m", "pytest", "-q", "-p", "no:cacheprovider", project / "tests")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert " passed" in done.stdout


@pytest.mark.slow
def test_every_kind_passes_its_tests_untouched_and_is_used(
    environment: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One environment: the projects do not touch each other, and the family serves the others."""
    monkeypatch.setenv("HOME", str(tmp_path))
    kinds = [kind for kind in WITHOUT_MODEL if kind not in WITH_SHIPPED_MODELS]
    projects = {kind: new(tmp_path, kind, f"own-{kind}") for kind in kinds}
    environment.install(*build_wheels(tmp_path / "wheels", *projects.values()))
    model = tmp_path / "example.safetensors"
    assert environment.run("-m", "latentry_own_family.example", model).returncode == 0
    checkpoint = packaged(tmp_path, environment, model)
    environment.install(*build_wheels(tmp_path / "more-wheels", checkpoint))
    for project in (*projects.values(), checkpoint):
        run_tests_of(environment, project)
    shelf = tmp_path / "own-source-models"
    shelf.mkdir()
    model.rename(shelf / "mine.safetensors")
    for where in ("own-source/mine", "own-checkpoint"):
        picture = tmp_path / f"{where.partition('/')[0]}.png"
        chosen = {"model": where, "scheduler": "own-scheduler", "sigmas": "own-sigmas", "attention": "own-attention"}
        words = [word for name, value in chosen.items() for word in (f"--{name}", value)]
        words += ["--guidance-method", "own-guidance", "--guidance", "3", "--steps", "3", "--output", str(picture)]
        done = latentry(environment, tmp_path, "generate", "a red circle", *words)
        assert done.returncode == 0, done.stderr
        assert picture.is_file()
    said = latentry(environment, tmp_path, "own-command")
    assert (said.returncode, said.stdout) == (0, "2 schedulers are installed.\n")


@pytest.mark.slow
@pytest.mark.parametrize("kind", WITH_SHIPPED_MODELS)
def test_what_needs_a_shipped_model_passes_its_tests_untouched(kind: str, tmp_path: Path) -> None:
    """Beside the families and models of this Python."""
    project = new(tmp_path, kind, f"own-{kind}")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    subprocess.run([*command, "--target", str(tmp_path / "site"), str(project)], check=True)
    path = os.pathsep.join(filter(None, (str(tmp_path / "site"), os.environ.get("PYTHONPATH"))))
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(project / "tests")]
    done = subprocess.run(
        tests, cwd=project, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout


def packaged(folder: Path, environment: Environment, model: Path) -> Path:
    """A project of a model, written here for a family that is installed there."""
    source = PLUGINS / "latentry-dev" / "src"
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path; from latentry import PluginHost;"
        "from latentry_dev.project import *; model = packaged_model(PluginHost(), Path(sys.argv[2]));"
        "write_project(Project('checkpoint', 'own-checkpoint'), Path(sys.argv[3]), model)"
    )
    done = environment.run("-c", code, source, model, folder)
    assert done.returncode == 0, done.stderr
    return folder / "latentry-own-checkpoint"


def latentry(environment: Environment, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line in the environment."""
    code = "import sys; from latentry._cli import main; sys.exit(main())"
    command = [str(environment.python), "-c", code, *arguments]
    variables = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH",)}
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)
