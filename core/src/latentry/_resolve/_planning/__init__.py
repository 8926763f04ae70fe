"""Plans that come from elsewhere than a request's scheduler and its sigmas: from a plan file, or from a process alone.

May use what ``_resolve`` may.
"""
