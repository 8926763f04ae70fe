"""Attention backends: what each can, who serves a layer, and the arithmetic they are held to."""
