"""Attention backends: what each supports, which one serves a layer, and the reference they are checked against.

May use: ``_errors``, ``_specs``, ``_discovery``, ``_contract``, ``_memory``.
"""
