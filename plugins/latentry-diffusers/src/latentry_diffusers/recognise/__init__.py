"""From headers of a file or configurations of a folder to what it is: which variant of which model, or something else.

Imports no torch. May use: ``files``.
"""
