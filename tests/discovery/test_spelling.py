"""What ``generate`` understands, a host and every command understand: other programs' names, in any spelling."""

from __future__ import annotations

import json
import re

import pytest
from support.commandline import fresh
from support.distributions import Distribution, Site, install
from support.faulty import IMPORTS

from latentry import PluginHost, UnknownName
from latentry.names import understand

HOST = PluginHost()
PEERS = [name for spec in HOST.schedulers.values() for peer in spec.peers for name in (peer.name, *peer.others)]
RUST = {
    "Ddim": "ddim",
    "Euler": "euler",
    "Ddpm": "ddpm",
    "EulerAncestral": "euler-ancestral",
    "DpmSolverMultistep": "dpmpp-2m",
    "UniPC": "unipc",
    "uni_pc_bh1": "unipc",
}
"""The schedulers of the worker in Rust that this project succeeds."""
RUST_SIGMAS = {
    "Simple": "simple",
    "Karras": "karras",
    "Exponential": "exponential",
    "SgmUniform": "sgm-uniform",
    "DdimUniform": "ddim-uniform",
}


def spellings(name: str) -> set[str]:
    """A name in any case, with dashes, underscores or neither between its words."""
    words = re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", name.replace("_", " "))
    joined = {separator.join(words) for separator in ("-", "_", "")} | {name}
    return {form for text in joined for form in (text, text.lower(), text.upper())}


@pytest.mark.parametrize(("name", "meant"), RUST.items())
def test_the_rust_workers_schedulers(name: str, meant: str) -> None:
    for form in spellings(name):
        assert HOST.schedulers[form].name == meant, form
        assert form in HOST.schedulers
        assert understand(HOST, form).scheduler == HOST.schedulers.qualified(form)


@pytest.mark.parametrize(("name", "meant"), RUST_SIGMAS.items())
def test_the_rust_workers_sigma_schedules(name: str, meant: str) -> None:
    for form in spellings(name):
        assert HOST.sigma_schedules[form].name == meant, form
        assert HOST.sigma_schedules.qualified(form) == f"latentry:{meant}"


@pytest.mark.parametrize("name", PEERS)
def test_every_peers_name_is_found_by_a_host_as_generate_finds_it(name: str) -> None:
    try:
        meaning = understand(HOST, name)
    except UnknownName:  # several schedulers have it: a refusal for everyone
        assert name not in HOST.schedulers
        return
    assert HOST.schedulers.qualified(name) == meaning.scheduler
    made = HOST.schedulers.create(name)
    assert {option: getattr(made, option) for option in meaning.options} == dict(meaning.options)


def test_what_is_typed_counts_before_the_options_in_a_name() -> None:
    assert HOST.schedulers.create("uni_pc").variant == "bh1"
    assert HOST.schedulers.create("uni_pc", variant="bh2").variant == "bh2"
    assert HOST.schedulers.create("unipc").variant == "bh2"


def test_names_of_other_kinds_are_taken_to_the_letter() -> None:
    assert "SDPA" not in HOST.attention_backends
    assert "Shapes" not in HOST.checkpoints
    assert 3 not in HOST.schedulers
    with pytest.raises(UnknownName, match="There is no scheduler 'latentry-unipc:uni_pc'"):
        HOST.schedulers["latentry-unipc:uni_pc"]


@pytest.mark.slow
def test_the_commands_understand_them(tmp_path: object) -> None:
    done = fresh("schedulers", "uni_pc", "EulerAncestral", "--json", folder=tmp_path)  # type: ignore[arg-type]
    assert [record["name"] for record in json.loads(done.out)] == ["unipc", "euler-ancestral"], done.err


PAIR = Distribution(
    "latentry-pair",
    IMPORTS
    + """
@hookimpl
def latentry_schedulers():
    yield SchedulerSpec(name="twin-step", target="a:B", summary="For a test.")
    yield SchedulerSpec(name="twin_step", target="a:B", summary="For a test.")
""",
)


ODD = ("Twin Step", "TwinStep", "TWIN_STEP")


def test_a_spelling_that_two_have_is_refused(core: object, tmp_path: object) -> None:
    site = Site((core, install(tmp_path, PAIR)))  # type: ignore[arg-type]
    code = """
        from latentry import PluginHost, UnknownName
        schedulers = PluginHost(load=["pair"]).schedulers
        print(schedulers["twin_step"].name, schedulers["twin-step"].name)
        for name in ("Twin Step", "TwinStep", "TWIN_STEP"):
            try:
                schedulers[name]
            except UnknownName as error:
                print(error.what)
    """
    assert site.python(code).splitlines() == [
        "twin_step twin-step",
        *(f"The scheduler name '{name}' is ambiguous: it is 'twin-step' and 'twin_step'." for name in ODD),
    ]
