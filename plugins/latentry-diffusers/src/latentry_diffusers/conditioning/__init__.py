"""Conditioners whose networks are diffusers', and what they inject as the arguments that diffusers' denoisers take.

Uses ``files``, ``layouts``, ``bundle``, ``loading``, ``attention`` and ``model``."""
