"""The checks of schedulers: one file for each kind, ``_all`` for the table of them.

May use: ``_networks`` and the subject and result of the folder above.
"""
