"""Names of schedulers as other programs write them: which claim wins, what comes with it, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.toy import PLUGIN, toy_host, write_toy

from latentry import Engine, GenerationRequest, PluginHost, Setup, UnknownName
from latentry._peers._names import understand, understand_sigmas

PEERS = """
from latentry import PeerName, SchedulerSpec, SigmaPreference, hookimpl

LEADING = SigmaPreference("latentry:leading", options=(("offset", 7),), final="table", processes=frozenset({"vp"}))

@hookimpl
def latentry_schedulers():
    toy = dict(target="support.toys:Halving", summary="For a test.", sigmas=(SigmaPreference("latentry:trailing"),))
    yield SchedulerSpec(name="one", aliases=("uno",), **toy, peers=(
        PeerName(name="ONE++ a", peer="Upper", others=("k_one",), options=(("least", 3),), sigmas=LEADING),
        PeerName(name="onepp_a", peer="Lower", options=(("least", 3),), differs="it is slower"),
        PeerName(name="Both", peer="Upper", options=(("least", 1),)),
    ))
    others = PeerName(name="Both", peer="Lower"), PeerName(name="uno", peer="Other")
    yield SchedulerSpec(name="two", **toy, peers=others)
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> PluginHost:
    """The toys, and two schedulers that other programs have names for."""
    file = tmp_path_factory.mktemp("peers") / "named.py"
    file.write_text(PEERS)
    return PluginHost(load=("latentry",), plugin_dirs=[PLUGIN, file], strict=True)


def setup(host: PluginHost, model: Path, **wanted: object) -> Setup:
    return Engine(host).prepare(GenerationRequest(prompt="a", model=str(model), **wanted))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["one", "named:one", "ONE", "One"])
def test_a_schedulers_own_name_brings_nothing_along(host: PluginHost, name: str) -> None:
    meaning = understand(host, name)
    assert (meaning.scheduler, dict(meaning.options), meaning.preference, meaning.notes) == ("named:one", {}, None, ())


def test_the_same_letters_come_before_the_same_spelling(host: PluginHost) -> None:
    upper, lower = understand(host, "ONE++ a"), understand(host, "onepp_a")
    assert upper.preference is not None
    assert (upper.preference.name, upper.notes) == ("latentry:leading", ())
    assert (lower.preference, lower.notes) == (None, ("onepp_a of Lower differs: it is slower",))
    assert understand(host, "k_one") == upper


def test_of_names_spelt_alike_what_they_agree_on_counts(host: PluginHost) -> None:
    meaning = understand(host, "One++ A")
    assert (meaning.scheduler, dict(meaning.options)) == ("named:one", {"least": 3})
    assert meaning.preference is None
    assert meaning.notes == ("onepp_a of Lower differs: it is slower",)


def test_a_name_of_two_things_is_refused(host: PluginHost) -> None:
    with pytest.raises(UnknownName, match="is ambiguous") as caught:
        understand(host, "Both")
    assert "'one' as Both of Upper and 'two' as Both of Lower" in str(caught.value)


def test_another_programs_name_beats_an_alias(host: PluginHost) -> None:
    assert host.schedulers["uno"].name == "one"
    assert understand(host, "uno").scheduler == "named:two"


@pytest.mark.parametrize("name", ["ONE++ a Karras", "onepp_a_karras", "k_one_ka"])
def test_a_sigma_schedule_at_the_end_takes_the_place_of_the_programs_own(host: PluginHost, name: str) -> None:
    meaning = understand(host, name)
    assert (meaning.scheduler, meaning.sigmas, meaning.preference) == ("named:one", "latentry:karras", None)


def test_whose_sigmas_count(host: PluginHost, tmp_path: Path) -> None:
    """The request's, then those in the name, then the checkpoint's demand, then the program's, then the scheduler's."""
    plain, demanding = write_toy(tmp_path / "plain"), write_toy(tmp_path / "demanding", demand=True)
    flow = write_toy(tmp_path / "flow", kind="flow")
    named = setup(host, plain, scheduler="ONE++ a", steps=4)
    assert [point.timestep for point in named.plan.points] == [757, 507, 257, 7, 0]
    assert (named.request.sigmas, named.request.final) == ("latentry:leading", "table")
    assert named.request.scheduler_options == {"least": 3}
    assert setup(host, plain, scheduler="ONE++ a karras").request.sigmas == "latentry:karras"
    assert setup(host, plain, scheduler="ONE++ a karras", sigmas="simple").request.sigmas == "latentry:simple"
    assert setup(host, demanding, scheduler="ONE++ a").request.sigmas == "latentry:linspace"
    assert setup(host, demanding, scheduler="ONE++ a karras").request.sigmas == "latentry:karras"
    assert setup(host, flow, scheduler="ONE++ a").request.sigmas == "latentry:trailing"
    assert setup(host, plain, scheduler="one").request.sigmas == "latentry:trailing"


def test_the_requests_own_options_count_before_those_of_the_name(host: PluginHost, tmp_path: Path) -> None:
    model = write_toy(tmp_path / "model")
    chosen = setup(host, model, scheduler="onepp_a", scheduler_options={"least": 1}, steps=6)
    assert chosen.request.scheduler_options == {"least": 1}
    assert chosen.notes[0] == "onepp_a of Lower differs: it is slower"


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("Karras", "karras"),
        ("SGM Uniform", "sgm-uniform"),
        ("ddim_uniform", "ddim-uniform"),
        ("AYS", "align-your-steps"),
    ],
)
def test_sigma_schedules_are_found_in_any_spelling(host: PluginHost, written: str, found: str) -> None:
    assert understand_sigmas(host, written) == f"latentry:{found}"


def test_a_sigma_schedule_that_is_not_here_says_what_is_near(host: PluginHost) -> None:
    with pytest.raises(UnknownName, match="sigma schedule 'bong-tangent' is not available here"):
        understand_sigmas(host, "bong_tangent")
    with pytest.raises(UnknownName, match="sigma schedule 'bong-tangent' is not available here"):
        understand(host, "one bong_tangent")
    with pytest.raises(UnknownName, match="There is no sigma schedule 'karas'"):
        understand_sigmas(host, "karas")


@pytest.mark.parametrize("name", ["UniPCMultistepScheduler", "uni_pc karras", "unipc", "UNIPC"])
def test_a_known_name_of_a_plugin_that_is_not_installed_says_what_to_install(name: str) -> None:
    with pytest.raises(UnknownName) as caught:
        understand(toy_host(), name)
    assert "latentry-unipc" in str(caught.value)
    assert "pip install ./plugins/latentry-unipc" in caught.value.remedy


def test_a_name_that_is_absent_everywhere_names_the_nearest_and_how_to_get_it() -> None:
    with pytest.raises(UnknownName, match="'Heun\\+\\+ Karras' is not available here") as caught:
        understand(toy_host(), "Heun++ Karras")
    assert (
        caught.value.remedy
        == "The nearest is 'heun': pip install ./plugins/latentry-heun in a clone of Latentry's repository."
    )


def test_a_name_of_nothing_lists_what_there_is(host: PluginHost) -> None:
    with pytest.raises(UnknownName, match="There is no scheduler 'onne'") as caught:
        understand(host, "onne")
    assert "Did you mean 'one'" in str(caught.value)
