"""What the documentation is built from beside ``docs``: pages made from the code, links, and figures.

``hooks.py`` is what MkDocs calls; nothing else here needs MkDocs, so that the tests read the pages without it.
"""
