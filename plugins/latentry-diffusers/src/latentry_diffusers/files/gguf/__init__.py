"""Reads GGUF files: their headers, without trust, and their tensors.

May use: ``files``.
"""
