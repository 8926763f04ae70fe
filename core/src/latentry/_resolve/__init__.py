"""From a request to a ``Setup``: every choice that a request leaves open, made before any weight is loaded.

``prepare`` reads the request and gives each chooser what that one reads. A chooser gives back what it chose, and in
``decided`` the fields of a request that asks for the same again.

May use everything but ``_capture``, ``_jobs``, ``_generate``, ``_batch``, ``_bases``, ``_cli`` and ``testing``.
"""
