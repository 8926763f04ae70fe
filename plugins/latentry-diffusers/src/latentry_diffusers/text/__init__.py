"""Prompts through CLIP and T5: windows for long ones, emphasis, clip skip.

Uses no other room.
"""
