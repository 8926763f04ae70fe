"""What schedulers make of their evaluations under their own defaults: the figures of ``docs/schedulers.md``.

May use: ``_checks`` and ``_networks``.
"""
