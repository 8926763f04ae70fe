"""Picture files: their formats, and the texts in them.

May use: ``_errors``, ``_policy``.
"""
