"""A host among broken plugins: it starts, the working ones load, and each message says what to do."""

from __future__ import annotations

import pytest
from support.distributions import Report, Site


def only(report: Report, distribution: str) -> dict[str, str]:
    """The one problem of a distribution; its message names plugin, distribution and the way out."""
    (problem,) = report.of(distribution)
    assert f"plugin '{problem['plugin']}' of {distribution} 1.0" in problem["what"]
    assert f"pip uninstall {distribution}, or set LATENTRY_BLOCK={distribution}" in problem["remedy"]
    return problem


def test_the_sound_plugin_works_among_them(crowd: Site) -> None:
    code = "host = __import__('latentry').PluginHost(); print(host.schedulers.create('good', eta=0.5))"
    assert crowd.python(code) == "eta=0.5 kind='a'"


def test_the_core_is_a_plugin_like_any_other(report: Report, crowd: Site) -> None:
    assert ["latentry", "latentry"] in [plugin[:2] for plugin in report.plugins]
    assert {"leading", "linspace", "trailing"} <= set(report.names["sigma_schedules"])
    assert crowd.host(load=["fine"]).names["sigma_schedules"] == []


@pytest.mark.parametrize(
    ("distribution", "cause", "remedy"),
    [
        ("latentry-crash", "RuntimeError: no luck today", "Look for a newer release of latentry-crash."),
        ("latentry-exits", "SystemExit: 3", "Look for a newer release of latentry-exits."),
        (
            "latentry-lacks",
            "ModuleNotFoundError: No module named 'a_module_that_nobody_has'",
            "Install latentry-lacks again, with its dependencies.",
        ),
    ],
)
def test_a_failed_import_is_a_problem(report: Report, distribution: str, cause: str, remedy: str) -> None:
    problem = only(report, distribution)
    assert (problem["stage"], problem["why"]) == ("import", cause)
    assert problem["remedy"].startswith(f"{remedy} To leave it out: ")
    assert not report.loaded(distribution)


def test_a_plugin_for_a_newer_core_is_not_imported(report: Report) -> None:
    problem = only(report, "latentry-newer")  # its import would raise, and give stage "import"
    assert problem["stage"] == "contract"
    assert "requires latentry>=99; this is latentry 0." in problem["what"]
    assert "Upgrade the core to latentry>=99." in problem["remedy"]


def test_a_plugin_for_an_older_core_is_not_imported(report: Report) -> None:
    problem = only(report, "latentry-older")
    assert problem["stage"] == "contract"
    assert "Upgrade the plugin, latentry-older" in problem["remedy"]


def test_a_requirement_for_another_python_does_not_count(report: Report) -> None:
    assert report.loaded("latentry-marker")
    assert not report.of("latentry-marker")


def test_a_record_for_a_newer_contract_quarantines_its_plugin(report: Report) -> None:
    problem = only(report, "latentry-api-newer")
    assert problem["stage"] == "contract"
    assert "contract 1.99; this version of latentry has 1.0" in problem["what"]
    assert "Upgrade the core, latentry." in problem["remedy"]
    assert "by-api-newer" not in report.names["sigma_schedules"]
    assert not report.loaded("latentry-api-newer")


def test_a_record_for_another_major_contract_quarantines_its_plugin(report: Report) -> None:
    problem = only(report, "latentry-api-older")
    assert "Upgrade the plugin, latentry-api-older." in problem["remedy"]
    assert "api-older" not in report.names["schedulers"]


def test_a_misspelt_hook_is_not_accepted(report: Report) -> None:
    problem = only(report, "latentry-misspelt")
    assert problem["stage"] == "register"
    assert "no hook 'latentry_schedulerz'" in problem["what"]
    assert "Is 'latentry_schedulers' meant?" in problem["remedy"]
    assert "misspelt" not in report.names["schedulers"]


def test_an_unknown_hook_argument_is_not_accepted(report: Report) -> None:
    problem = only(report, "latentry-argument")
    assert problem["stage"] == "register"
    assert "hook 'latentry_schedulers' has the parameter 'config'" in problem["what"]
    assert "latentry_schedulers()" in problem["why"]


def test_an_unmarked_hook_is_a_problem(report: Report) -> None:
    assert "@latentry.hookimpl" in only(report, "latentry-unmarked")["remedy"]


def test_a_hook_that_returns_nothing_is_a_problem(report: Report) -> None:
    assert "yield SchedulerSpec records" in only(report, "latentry-empty")["remedy"]


def test_a_hook_that_raises_aborts_only_itself(report: Report) -> None:
    problem = only(report, "latentry-half")
    assert (problem["stage"], problem["why"]) == ("hook", "ValueError: after the first")
    assert "half" not in report.names["schedulers"]
    assert "half-sigmas" in report.names["sigma_schedules"]


def test_a_record_of_the_wrong_type_is_left_out(report: Report) -> None:
    problems = report.of("latentry-wrong-type")
    assert {problem["stage"] for problem in problems} == {"record"}
    assert "yields dict instead of SchedulerSpec" in problems[0]["what"]
    assert "yields SigmaScheduleSpec instead of SchedulerSpec" in problems[1]["what"]
    assert "right-type" in report.names["schedulers"]


@pytest.mark.parametrize(
    "message",
    [
        "scheduler 'Bad Name' cannot be registered: its name must be lower-case",
        "scheduler 'bad-target' cannot be registered: its target must be written package.module:attribute",
        "scheduler 'bad-aliases' cannot be registered: its aliases must be a tuple",
        "its preferred sigma schedule must be written distribution:name, not 'trailing'",
        "scheduler 'bad-process' cannot be registered: its processes must be a frozenset of edm, flow, vp",
        "registers the scheduler 'good-record' twice; the first one is used",
    ],
)
def test_a_faulty_record_is_left_out(report: Report, message: str) -> None:
    assert any(message in problem["what"] for problem in report.of("latentry-bad-records"))
    assert "good-record" in report.names["schedulers"]
    assert not any(name.lower().startswith("bad") for name in report.names["schedulers"])


def test_lazy_names_stay_untouched(report: Report) -> None:
    assert "lazy" in report.names["schedulers"]
    assert not report.of("latentry-lazy")


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("no-module", "ModuleNotFoundError: No module named 'latentry_no_module.gone'"),
        ("no-class", "AttributeError: module 'latentry_no_class' has no attribute 'Missing'"),
    ],
)
def test_a_target_that_fails_names_its_plugin(crowd: Site, name: str, cause: str) -> None:
    code = f"""
        from latentry import PluginError, PluginHost
        host = PluginHost(load=["{name}", "fine"])
        assert host.problems == ()
        for _ in range(2):
            try:
                host.schedulers.load("{name}")
            except PluginError as error:
                assert error.what.startswith("plugin '{name}' of latentry-{name} 1.0: the scheduler"), error.what
                assert "{cause}" in error.why, error.why
                assert "pip uninstall latentry-{name}" in error.remedy
        (problem,) = host.problems
        assert problem.stage == "load"
        host.schedulers.create("fine")
        print("done")
    """
    assert crowd.python(code) == "done"


def test_strict_raises_the_first_problem(crowd: Site) -> None:
    code = """
        from latentry import PluginError, PluginHost
        try:
            PluginHost(load=["crash"], strict=True)
        except PluginError as error:
            print(error.what, type(error.__cause__).__name__)
        PluginHost(load=["fine"], strict=True)
    """
    assert crowd.python(code) == "plugin 'crash' of latentry-crash 1.0: cannot be imported RuntimeError"


def test_block_and_load_take_plugins_and_distributions(crowd: Site) -> None:
    assert crowd.host(load=["fine"]).names["schedulers"] == ["fine"]
    assert crowd.host(load=["Latentry_Fine"]).names["schedulers"] == ["fine"]
    assert crowd.host(load=["fine", "crash"], block=["latentry-fine"]).names["schedulers"] == []
    assert not crowd.host(block=["crash"]).of("latentry-crash")
    assert crowd.host(load=[]).plugins == []


def test_loading_a_plugin_that_is_not_installed_is_a_problem(crowd: Site) -> None:
    (problem,) = crowd.host(load=["fine", "absent"]).problems
    assert problem["message"].startswith("plugin 'absent': it is not installed.")
