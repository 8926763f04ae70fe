"""Writes a checkpoint in another form: a folder in the diffusers layout, shards, or a single file.

May use: ``files``, ``layouts``, ``recognise``, ``bundle``, ``loading``.
"""
