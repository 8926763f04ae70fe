"""How to install a distribution, for messages: what is printed has to work where it is printed."""

from __future__ import annotations

from latentry._peers._directory import read

ON_AN_INDEX = False
"""Whether pip finds Latentry's distributions by name; a release to a package index sets it."""


def how_to_install(distribution: str) -> str:
    """What to do to install a distribution, as the end of a sentence.

    Args:
        distribution: its name; for one of Latentry's own, what it needs of Latentry's is named with it.
    """
    known = read("distributions.json")
    if distribution not in known:
        return f"install {distribution}"
    if ON_AN_INDEX:
        return f"pip install {distribution}"
    paths = " ".join(f"./plugins/{name}" for name in (*known[distribution]["needs"], distribution))
    return f"pip install {paths} in a clone of Latentry's repository"
