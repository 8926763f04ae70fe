"""Helpers for the tests that cross packages."""
