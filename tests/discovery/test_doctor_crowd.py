"""``latentry doctor`` among broken plugins."""

from __future__ import annotations

import json

from support.distributions import Site


def test_every_problem_of_a_crowd_is_found_with_its_remedy(crowd: Site) -> None:
    done = crowd.latentry("doctor", "--json")
    assert done.returncode == 1, done.stderr
    problems = [item for item in json.loads(done.stdout) if item["state"] == "problem"]
    listed = json.loads(crowd.latentry("plugins", "--json").stdout)["problems"]
    assert listed
    for problem in listed:
        mine = [item for item in problems if problem["what"] in item["text"] and problem["plugin"] in item["text"]]
        assert mine, problem
        assert (mine[0]["topic"], mine[0]["remedy"]) == (problem["stage"], problem["remedy"])
    assert "Traceback" not in crowd.latentry("doctor").stderr
