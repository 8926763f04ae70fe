"""Options that several commands take."""

from __future__ import annotations

import click

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
verbose_option = click.option("--verbose", is_flag=True, help="Tell everything of each.")
quiet_option = click.option("--quiet", "-q", is_flag=True, help="Print neither progress nor a report.")
