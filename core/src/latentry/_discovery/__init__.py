"""Finds, loads and quarantines plugins: their records at the start, their code on first use.

May use: ``_errors``, ``_specs``, ``hookspecs``, ``_peers``.
"""

from __future__ import annotations

from latentry._discovery._calls import Leaving, host_callback, is_out_of_memory, plugin_call
from latentry._discovery._host import PluginHost
from latentry._discovery._loading._sources import Plugin, Provenance
from latentry._discovery._problems import Problem
from latentry._discovery._registry import Registry

__all__ = [
    "Leaving",
    "Plugin",
    "PluginHost",
    "Problem",
    "Provenance",
    "Registry",
    "host_callback",
    "is_out_of_memory",
    "plugin_call",
]
