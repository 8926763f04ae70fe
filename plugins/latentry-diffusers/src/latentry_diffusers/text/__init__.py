"""Encodes prompts with CLIP and T5, with windows for long prompts, emphasis and clip skip.

Uses no other room.
"""
