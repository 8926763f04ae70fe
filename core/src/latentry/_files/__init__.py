"""From what someone types for a model to its files: finding, checking, recognising, inspecting, converting.

Reads headers and configurations only, and imports no torch. May use: ``_errors``, ``_specs``, ``_discovery``,
``_contract``.
"""
