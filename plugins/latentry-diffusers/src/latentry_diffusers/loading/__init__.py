"""From the parts of a checkpoint to networks in memory, one tensor at a time, quantised or not.

May use: ``files``, ``layouts``, ``bundle``.
"""
