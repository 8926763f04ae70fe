"""Jobs: requests that wait their turn, are drawn beside others, and can be followed, cancelled and paused.

May use: ``_errors``, ``_discovery``, ``_contract``, ``_request``, ``_capture``, ``_guidance``.
"""
