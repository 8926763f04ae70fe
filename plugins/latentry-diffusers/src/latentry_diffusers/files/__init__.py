"""Reads and writes files: JSON configurations, safetensors, shards and GGUF, by their headers.

What a file says is checked against the file before it is believed. Uses no other room.
"""
