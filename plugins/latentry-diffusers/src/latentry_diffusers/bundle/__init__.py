"""Splits a checkpoint, in any file format, into networks with configurations and tokenizers; reads no weights.

May use: ``files``, ``layouts``, ``recognise``.
"""
