"""Conformance of attention backends."""
