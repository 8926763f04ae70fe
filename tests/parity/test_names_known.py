"""Every name in use in diffusers, AUTOMATIC1111, ComfyUI and k-diffusion stands for something, or is refused by name.

diffusers is asked for its list; the others' are their public labels (AUTOMATIC1111 1.10.1, ComfyUI 0.29.0), in
``labels.json``.
"""

from __future__ import annotations

import json
import math
from contextlib import suppress
from importlib import resources
from pathlib import Path

import diffusers
import pytest

from latentry import GenerationRequest, PluginHost, Prediction, UnknownName, VariancePreserving
from latentry._cli import main
from latentry._peers._names import understand, understand_sigmas
from latentry._peers._spelling import spelling

CLASSES = sorted({n for where in (diffusers, diffusers.schedulers) for n in dir(where) if n.endswith("Scheduler")})
LABELS = json.loads((Path(__file__).parent / "labels.json").read_text(encoding="utf-8"))
A1111, COMFYUI, K_DIFFUSION = LABELS["AUTOMATIC1111"], LABELS["ComfyUI"], LABELS["k-diffusion"]["functions"]
ABSENT_SCHEDULES = ["bong_tangent", "GITS", "laplace", "beta57", "Turbo"]
SD = VariancePreserving.from_betas()


def stands_for(host: PluginHost, name: str) -> str:
    """The scheduler that a name gives, made and laid out; or ``refused``."""
    try:
        meaning = understand(host, name)
    except UnknownName as error:
        assert f"'{name}' is not available here: " in error.what, name
        assert error.remedy
        return "refused"
    scheduler = host.schedulers.create(meaning.scheduler, **meaning.options)
    preference = meaning.preference or host.schedulers[meaning.scheduler].sigmas[0]
    schedule = host.sigma_schedules.create(meaning.sigmas or preference.name)
    if "vp" in preference.processes:
        plan = scheduler.plan(12, process=SD, prediction=Prediction.V, sigmas=schedule)
        assert len(plan) == 12
    return meaning.scheduler.partition(":")[2]


def test_there_are_as_many_as_counted() -> None:
    assert len(CLASSES) >= 49
    assert (len(A1111["labels"]), len(COMFYUI["samplers"]), len(K_DIFFUSION)) == (20, 44, 13)


@pytest.mark.parametrize("name", CLASSES)
def test_every_scheduler_class_of_diffusers(host: PluginHost, name: str) -> None:
    assert stands_for(host, name)


@pytest.mark.parametrize("name", [*A1111["labels"], *A1111["names"], *A1111["combined"]])
def test_every_label_of_automatic1111(host: PluginHost, name: str) -> None:
    assert stands_for(host, name) != "refused"


@pytest.mark.parametrize("name", A1111["combined"])
def test_the_old_labels_name_their_sigmas(host: PluginHost, name: str) -> None:
    karras = name.endswith(("Karras", "_ka"))
    assert understand(host, name).sigmas == ("latentry:karras" if karras else "latentry:exponential")


@pytest.mark.parametrize("name", COMFYUI["samplers"])
def test_every_sampler_of_comfyui(host: PluginHost, name: str) -> None:
    assert (stands_for(host, name) == "refused") == (name == "heunpp2")


@pytest.mark.parametrize("name", COMFYUI["samplers"])
def test_a_schedule_may_follow_in_any_spelling(host: PluginHost, name: str) -> None:
    if stands_for(host, name) != "refused":
        for schedule in COMFYUI["schedules"]:
            meaning = understand(host, f"{name} {schedule}")
            assert spelling(meaning.sigmas.partition(":")[2] if meaning.sigmas else "") == spelling(schedule)
            assert meaning.scheduler == understand(host, name).scheduler


@pytest.mark.parametrize("name", K_DIFFUSION)
def test_every_function_of_k_diffusion(host: PluginHost, name: str) -> None:
    assert stands_for(host, name) != "refused"


@pytest.mark.parametrize("name", [*A1111["schedules"], *COMFYUI["schedules"]])
def test_every_sigma_schedule(host: PluginHost, name: str) -> None:
    found = understand_sigmas(host, name)
    assert found in {host.sigma_schedules.qualified(each) for each in host.sigma_schedules}
    assert understand_sigmas(host, "Uniform") == "latentry:normal"


@pytest.mark.parametrize("name", ABSENT_SCHEDULES)
def test_a_sigma_schedule_that_is_not_here_is_refused_by_name(host: PluginHost, name: str) -> None:
    for ask in (lambda: understand_sigmas(host, name), lambda: understand(host, f"res_2m {name}")):
        with pytest.raises(UnknownName, match="is not available here") as caught:
            ask()
        assert "The nearest one here is" in caught.value.remedy


def test_what_is_nearest_is_here_and_nothing_is_both_here_and_absent(host: PluginHost) -> None:
    listed = json.loads((resources.files("latentry._peers") / "unavailable.json").read_text(encoding="utf-8"))
    for kind, entries in listed.items():
        registry = getattr(host, kind)
        names = [spelling(name) for entry in entries for name in entry["names"]]
        assert len(set(names)) == len(names)
        assert all(entry["nearest"] is None or entry["nearest"] in registry for entry in entries)
        assert not set(names) & {spelling(name) for name in registry}
    claimed = {spelling(n) for s in host.schedulers.values() for p in s.peers for n in (p.name, *p.others)}
    assert not claimed & {spelling(name) for entry in listed["schedulers"] for name in entry["names"]}


def test_the_directory_of_peer_names_is_what_the_plugins_say(host: PluginHost) -> None:
    said: dict[str, set[str]] = {}
    for name in host.schedulers:
        own = {n for p in host.schedulers[name].peers for n in (p.name, *p.others)}
        said.setdefault(host.schedulers.provenance(name).distribution, set()).update(own)
    listed = json.loads((resources.files("latentry._peers") / "peer_directory.json").read_text(encoding="utf-8"))
    assert {distribution: set(names) for distribution, names in listed.items()} == {d: n for d, n in said.items() if n}


def test_a_name_is_read_again_from_a_recipe(host: PluginHost) -> None:
    """What a name stands for is recorded with infinite options, and JSON has no infinity."""
    options = dict(understand(host, "DPM++ 2M SDE").options)
    assert options == {"guard": False, "longest_step": math.inf}
    request = GenerationRequest(prompt="a", scheduler="dpmpp-2m-sde", scheduler_options=options)
    assert GenerationRequest.model_validate_json(request.model_dump_json()).scheduler_options == options


def test_the_listing_is_json_for_every_reader(capsys: pytest.CaptureFixture[str]) -> None:
    """Options of peer names may be infinite, for which JSON has no number."""
    with suppress(SystemExit):
        main(["schedulers", "--json"])
    printed = capsys.readouterr().out
    assert '"Infinity"' in printed
    assert json.loads(printed, parse_constant=pytest.fail)
