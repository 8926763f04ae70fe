"""From a ``Setup`` to pictures: the engine, the loop, where runs start, and making a recipe's picture again.

May use everything but ``_batch``, ``_bases``, ``_cli`` and ``testing``.
"""
