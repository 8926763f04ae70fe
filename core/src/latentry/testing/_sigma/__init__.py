"""Conformance of sigma schedules, and checks of plans and noise processes."""
