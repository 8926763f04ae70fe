"""Attention backends: what each one can do, which one serves a layer, and the definition they are checked against.

May use: ``_errors``, ``_specs``, ``_discovery``, ``_contract``, ``_memory``.
"""
