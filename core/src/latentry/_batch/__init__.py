"""Many requests into one folder: each line of a file once, whoever draws it and whatever is killed when.

May use everything but ``_bases``, ``_cli`` and ``testing``.
"""
