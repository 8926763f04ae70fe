"""Names when several plugins claim them, and names that stand for nothing."""

from __future__ import annotations

from pathlib import Path

from support.distributions import Report, Site, install
from support.faulty import ALIAS_A, ALIAS_B, TWIN_A, TWIN_B

ASK = """
    from latentry import PluginHost, UnknownName
    host = PluginHost({options})
    try:
        host.{kind}["{name}"]
    except UnknownName as error:
        print(error)
"""


def refused(site: Site, name: str, *, kind: str = "schedulers", options: str = "") -> str:
    """The message for a name that does not resolve."""
    message = site.python(ASK.format(kind=kind, name=name, options=options))
    assert message, f"{name} resolves"
    return message


def test_one_entry_point_name_in_two_distributions_loads_both(report: Report) -> None:
    assert [plugin[:2] for plugin in report.plugins if plugin[0] == "twin"] == [
        ["twin", "latentry-twin-a"],
        ["twin", "latentry-twin-b"],
    ]


def test_a_name_given_twice_stands_for_neither(report: Report, crowd: Site) -> None:
    names = report.names["schedulers"]
    assert "twin" not in names
    assert {"latentry-twin-a:twin", "latentry-twin-b:twin"} <= set(names)
    for ours, other in (("a", "b"), ("b", "a")):
        (problem,) = report.of(f"latentry-twin-{ours}")
        assert problem["stage"] == "collision"
        assert f"latentry-twin-{other} 1.0" in problem["what"]
        assert "Use latentry-twin-a:twin or latentry-twin-b:twin" in problem["remedy"]
    message = refused(crowd, "twin")
    assert "latentry-twin-a and latentry-twin-b each register it" in message
    assert "Use latentry-twin-a:twin or latentry-twin-b:twin" in message


def test_both_stay_reachable(crowd: Site) -> None:
    code = """
        from latentry import PluginHost
        host = PluginHost(block=["latentry-fine"])
        for name in ("latentry-twin-a:twin", "latentry_twin_b:twin"):
            print(host.schedulers[name].name, host.schedulers.provenance(name).distribution)
    """
    assert crowd.python(code).splitlines() == ["twin latentry-twin-a", "twin latentry-twin-b"]


def test_blocking_one_frees_the_name(crowd: Site) -> None:
    report = crowd.host(load=["twin"], block=["latentry-twin-b"])
    assert report.names["schedulers"] == ["twin"]
    assert report.problems == []


def test_a_name_beats_an_alias(crowd: Site) -> None:
    code = """
        from latentry import PluginHost
        host = PluginHost(load=["fine", "alias-a"])
        print(host.schedulers["fine"].name, host.schedulers.aliases("one"), host.problems)
        host = PluginHost(load=["alias-a"])
        print(host.schedulers["fine"].name, host.schedulers.aliases("one"))
    """
    assert crowd.python(code).splitlines() == ["fine ('shared',) ()", "one ('shared', 'fine')"]


def test_colliding_aliases_stand_for_neither(report: Report, crowd: Site) -> None:
    (problem,) = report.of("latentry-alias-a")
    assert "the scheduler alias 'shared', and so does latentry-alias-b 1.0" in problem["what"]
    assert {"one", "two"} <= set(report.names["schedulers"])
    assert "Use latentry-alias-a:one or latentry-alias-b:two" in refused(crowd, "shared")


def test_the_outcome_hangs_on_no_order(core: Path, tmp_path: Path) -> None:
    a = install(tmp_path / "a", TWIN_A, ALIAS_B)
    b = install(tmp_path / "b", TWIN_B, ALIAS_A)
    sites = [Site((core, a, b)), Site((b, a, core))]
    outcomes = [site.host({"PYTHONHASHSEED": seed}) for site in sites for seed in ("1", "2", "3")]
    assert all(outcome == outcomes[0] for outcome in outcomes)


def test_an_unknown_name_lists_and_suggests(crowd: Site) -> None:
    message = refused(crowd, "fime", options="load=['fine', 'wrong-type', 'twin']")
    assert "There is no scheduler 'fime'" in message
    assert "Installed: fine, latentry-twin-a:twin, latentry-twin-b:twin, right-type." in message
    assert "Did you mean 'fine'" in message


def test_an_unknown_name_tells_of_quarantined_plugins(crowd: Site) -> None:
    message = refused(crowd, "crash")
    first = next(line for line in message.splitlines() if "A broken plugin may provide it" in line)
    assert "plugin 'crash' of latentry-crash 1.0: cannot be imported RuntimeError" in first
    assert "more plugins are broken; see `latentry plugins`" in message


def test_an_unknown_name_of_a_known_distribution_says_what_to_install(core: Path) -> None:
    bare = Site((core,))
    for kind, name, distribution in (
        ("schedulers", "ddim", "latentry-ddim"),
        ("attention_backends", "sdpa", "latentry-attention-sdpa"),
        ("families", "sd", "latentry-sd"),
        ("checkpoints", "shapes", "latentry-shapes"),
    ):
        message = refused(bare, name, kind=kind, options="load=['latentry']")
        assert distribution in message
    assert "Did you mean 'euler'" in refused(bare, "EULR", options="load=['latentry']")


def test_a_record_keeps_its_provenance(crowd: Site) -> None:
    code = """
        from latentry import PluginHost
        registry = PluginHost().schedulers
        print(registry.provenance("good"), registry.qualified("good"), len(registry) == len(list(registry)))
    """
    expected = "Provenance(plugin='fine', distribution='latentry-fine', version='1.0') latentry-fine:fine True"
    assert crowd.python(code) == expected


def test_options_are_checked_in_words(crowd: Site) -> None:
    code = """
        from latentry import OptionError, PluginHost
        schedulers = PluginHost(load=["fine"]).schedulers
        for options in ({"eta": 3}, {"etta": 0.5}, {"kind": "c", "eta": "x"}):
            try:
                schedulers.create("fine", **options)
            except OptionError as error:
                print(str(error).replace("\\n", " | "))
    """
    outside, unknown, several = crowd.python(code).splitlines()
    accepts = "eta: float, at least 0.0, at most 1.0, default 0.0. Stochasticity."
    assert "'fine' cannot take option 'eta' 3: it must be at most 1" in outside
    assert accepts in outside
    assert "'fine' has no option 'etta'." in unknown
    assert accepts in unknown
    assert "Did you mean 'eta'? Its options are: eta, kind." in unknown
    assert "option 'kind' 'c'" in several
    assert "kind: one of 'a', 'b', default 'a'" in several
    assert "option 'eta' 'x'" in several
