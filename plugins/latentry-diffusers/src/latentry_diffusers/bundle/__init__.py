"""A checkpoint as parts, whatever files it comes in: its networks, their configurations and tokenizers, unread.

May use: ``files``, ``layouts``, ``recognise``.
"""
