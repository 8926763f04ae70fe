"""From a request to a ``Setup``: every choice that a request leaves open, made before any weight is loaded.

May use everything but ``_generate``, ``_cli`` and ``testing``.
"""
