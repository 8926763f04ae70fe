"""A crowd of plugins, nearly all of them faulty, that one host has to live with."""

from __future__ import annotations

from support.distributions import Distribution

IMPORTS = "from latentry import SchedulerSpec, SigmaScheduleSpec, hookimpl\n"


def scheduler(name: str, *, more: str = "", target: str = "nowhere:Nothing") -> str:
    """The code of a plugin that gives one scheduler."""
    record = f"SchedulerSpec(name={name!r}, target={target!r}, summary='For a test.', {more})"
    return f"{IMPORTS}\n@hookimpl\ndef latentry_schedulers():\n    yield {record}\n"


FINE_CODE = """
from typing import Literal
from pydantic import BaseModel, ConfigDict, Field

class Fine(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    eta: float = Field(default=0.0, ge=0.0, le=1.0, description="Stochasticity.")
    kind: Literal["a", "b"] = "a"
"""

FINE = Distribution(
    "latentry-fine",
    scheduler("fine", more="aliases=('good',)", target="latentry_fine.code:Fine"),
    {"code.py": FINE_CODE},
)

CRASH = Distribution("latentry-crash", "raise RuntimeError('no luck today')")
EXITS = Distribution("latentry-exits", "import sys\nsys.exit(3)")
LACKS = Distribution("latentry-lacks", "import a_module_that_nobody_has")

NEWER = Distribution("latentry-newer", "raise RuntimeError('imported')", requires=("latentry>=99",))
OLDER = Distribution("latentry-older", "raise RuntimeError('imported')", requires=("Latentry <0.0.5 , >=0",))
MARKER = Distribution(
    "latentry-marker",
    scheduler("marker"),
    requires=('latentry>=99; python_version < "3"', "latentry>=0.0.dev1"),
)
API_NEWER = Distribution(
    "latentry-api-newer",
    scheduler("api-newer", more="api=(1, 99)")
    + "\n@hookimpl\ndef latentry_sigma_schedules():\n"
    + "    yield SigmaScheduleSpec(name='by-api-newer', target='a:B', summary='Sound.')\n",
)
API_OLDER = Distribution("latentry-api-older", scheduler("api-older", more="api=(0, 9)"))

MISSPELT = Distribution(
    "latentry-misspelt", scheduler("misspelt") + "\n@hookimpl\ndef latentry_schedulerz():\n    yield 1\n"
)
ARGUMENT = Distribution(
    "latentry-argument", IMPORTS + "@hookimpl\ndef latentry_schedulers(config):\n    yield config\n"
)
UNMARKED = Distribution("latentry-unmarked", "def latentry_schedulers():\n    yield 1\n")
EMPTY = Distribution("latentry-empty", IMPORTS + "@hookimpl\ndef latentry_schedulers():\n    pass\n")
HALF = Distribution(
    "latentry-half",
    scheduler("half")
    + "    raise ValueError('after the first')\n"
    + "@hookimpl\ndef latentry_sigma_schedules():\n"
    + "    yield SigmaScheduleSpec(name='half-sigmas', target='a:B', summary='Sound.')\n",
)

WRONG_TYPE = Distribution(
    "latentry-wrong-type",
    scheduler("right-type")
    + "    yield {'name': 'dictionary'}\n"
    + "    yield SigmaScheduleSpec(name='elsewhere', target='a:B', summary='Wrong hook.')\n",
)
BAD_RECORDS = Distribution(
    "latentry-bad-records",
    IMPORTS
    + """
from latentry import SigmaPreference

@hookimpl
def latentry_schedulers():
    good = dict(name="good-record", target="a:B", summary="Sound.")
    for change in (
        {},
        {"name": "Bad Name"},
        {"name": "bad-target", "target": "a.b.C"},
        {"name": "bad-aliases", "aliases": "text"},
        {"name": "bad-preference", "sigmas": (SigmaPreference("trailing"),)},
        {"name": "bad-process", "processes": frozenset({"ve"})},
        {"summary": "The same name again."},
    ):
        yield SchedulerSpec(**(good | change))
""",
)

# Two distributions, one entry-point name, one scheduler name.
TWIN_A = Distribution("latentry-twin-a", scheduler("twin"), plugin="twin")
TWIN_B = Distribution("latentry-twin-b", scheduler("twin"), plugin="twin")
ALIAS_A = Distribution("latentry-alias-a", scheduler("one", more="aliases=('shared', 'fine')"))
ALIAS_B = Distribution("latentry-alias-b", scheduler("two", more="aliases=('shared', 'second')"))

NO_MODULE = Distribution("latentry-no-module", scheduler("no-module", target="latentry_no_module.gone:X"))
NO_CLASS = Distribution("latentry-no-class", scheduler("no-class", target="latentry_no_class:Missing"))

LAZY = Distribution(
    "latentry-lazy",
    scheduler("lazy")
    + "\ndef __dir__():\n    return [*globals(), 'Lazy']\n"
    + "\ndef __getattr__(name):\n    import torch\n    raise RuntimeError('the lazy name was touched')\n",
)

KINDS = Distribution(
    "latentry-kinds",
    IMPORTS
    + """
from latentry import CommandSpec, ModelSourceSpec

@hookimpl
def latentry_model_sources():
    yield ModelSourceSpec(name="shelf", target="latentry_kinds.code:Shelf", summary="For a test.", names="shelf/name")
    yield ModelSourceSpec(name="mute", target="latentry_kinds.code:Shelf", summary="For a test.", names=" ")

@hookimpl
def latentry_commands():
    yield CommandSpec(name="greet", target="latentry_kinds.code:greet", summary="Print a greeting.")
    yield CommandSpec(name="generate", target="latentry_kinds.code:greet", summary="A name that the core has.")
    yield CommandSpec(name="hello", target="a:b", summary="An alias that the core has.", aliases=("show",))
""",
    {"code.py": "import click\n\n@click.command()\ndef greet():\n    click.echo('hello')\n\nclass Shelf: pass\n"},
)

CROWD = tuple(value for value in globals().values() if isinstance(value, Distribution))
