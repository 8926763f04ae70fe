"""Options that have no effect where they are given: by what the request says, or by trying the run without them.

May use what ``_resolve`` may.
"""
