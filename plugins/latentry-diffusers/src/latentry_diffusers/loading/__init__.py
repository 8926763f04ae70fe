"""Loads the parts of a checkpoint as networks, one tensor at a time, quantised or not.

May use: ``files``, ``layouts``, ``bundle``.
"""
