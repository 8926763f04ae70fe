"""From what someone types for a model to its files: finds, checks, recognises, inspects and converts them.

Reads headers and configurations only, and imports no torch. May use: ``_errors``, ``_policy``, ``_specs``,
``_discovery``, ``_peers``, ``_contract``.
"""
