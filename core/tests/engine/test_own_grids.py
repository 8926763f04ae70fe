"""A checkpoint's own sigma schedule: where it counts, and what files say of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from latentry import Engine, Flow, GenerationRequest, PluginHost, Prediction, SigmaPreference
from latentry._resolve._scheduler import ChosenScheduler
from latentry._resolve._sigmas import choose_sigmas
from latentry.models import NoiseSettings, flow_settings, variance_preserving_settings

TRAILING, BETA = SigmaPreference("latentry:trailing"), SigmaPreference("latentry:beta")


@pytest.fixture(scope="module")
def host() -> PluginHost:
    return PluginHost()


def chosen(
    host: PluginHost, scheduler: str = "unipc", preference: SigmaPreference | None = None, **options: Any
) -> str:
    """The name of the schedule that a scheduler gets on a flow checkpoint."""
    made = ChosenScheduler(host.schedulers.qualified(scheduler), host.schedulers.create(scheduler), None, preference)
    own = options.pop("own", TRAILING)
    noise = NoiseSettings(Flow(), Prediction.FLOW, options.pop("demand", None), own)
    found = choose_sigmas(
        host, made, noise, 8, **{"sigmas": None, "options": {}, "final": None, "shift": 3.0, **options}
    )
    return str(found.name)


def test_it_comes_before_the_schedulers_preference_and_after_what_is_asked_for(host: PluginHost) -> None:
    assert chosen(host) == "latentry:trailing"
    assert chosen(host, own=None) != "latentry:trailing"
    assert chosen(host, preference=BETA) == "latentry:beta"  # another program's name means its grid
    assert chosen(host, sigmas="karras") == "latentry:karras"
    assert chosen(host, demand=BETA) == "latentry:beta"
    assert chosen(host, "dpm-adaptive", own=BETA) != "latentry:beta"  # it is given a range, and not levels


def test_flow_checkpoints_have_one_and_consistency_models_demand_theirs() -> None:
    assert flow_settings({}).own == TRAILING
    betas = {"beta_schedule": "scaled_linear"}
    assert variance_preserving_settings(betas).demand is None
    for name in ("LCMScheduler", "TCDScheduler"):
        demand = variance_preserving_settings({**betas, "_class_name": name, "original_inference_steps": 40}).demand
        assert demand == SigmaPreference("latentry:distilled", (("known", 40),), final="table")
    assert variance_preserving_settings({**betas, "timestep_spacing": "trailing"}).demand == TRAILING


@pytest.mark.parametrize("model", ["shapes-flux", "shapes-sd3"])
def test_it_gives_way_where_the_schedulers_grids_were_measured(host: PluginHost, model: str) -> None:
    request = GenerationRequest(prompt="a red circle", model=model, scheduler="unipc", steps=8)
    setup = Engine(host).prepare(request)
    assert setup.checkpoint.noise.own == TRAILING
    preference = host.schedulers["unipc"].sigmas_for(8, "flow")[0]
    assert setup.request.sigmas == preference.name


def test_a_copy_of_the_files_is_a_checkpoint_that_nobody_measured(host: PluginHost, tmp_path: Path) -> None:
    (tmp_path / "copy").symlink_to(host.checkpoints.load("shapes-flux")())
    request = GenerationRequest(prompt="a red circle", model=str(tmp_path / "copy"), scheduler="unipc", steps=8)
    assert Engine(host).prepare(request).request.sigmas == "latentry:trailing"
