"""The names that other programs have for schedulers and sigma schedules, and what they mean here.

May use: ``_errors``, ``_specs``.
"""
