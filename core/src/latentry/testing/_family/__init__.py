"""Conformance of model families: one file for each kind of property, ``_all`` for the table of them.

The checks know nothing of architectures. They take the families' own models, small ones of random weights or installed
ones, and compare what is computed in two ways that must agree.
"""
