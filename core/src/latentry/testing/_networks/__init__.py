"""Networks that are exactly right, the noise processes they answer on, and running plans on them.

May use: the numeric core.
"""
