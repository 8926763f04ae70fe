"""Checks of a family's files: how they are recognised, opened and loaded, and what damaged ones do."""
