"""The numeric core: noise processes, points, plans, runs and the scheduler base class.

Rooms inside: ``_processes`` (how noise was added in training), ``_grids`` (sigma schedules), ``_solvers`` (pieces that
schedulers call). May use: ``_errors``, ``_specs``, ``_discovery``.
"""
