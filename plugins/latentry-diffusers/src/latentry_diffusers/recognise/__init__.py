"""Tells from headers or configurations what a file or folder is: a variant of a model, or something else.

Imports no torch. May use: ``files``.
"""
