"""Conformance of what needs few checks: guidance methods, installed models, model sources and commands, a file each."""
