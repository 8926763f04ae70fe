"""Sigma schedules: the rules that place the boundaries of N steps."""
