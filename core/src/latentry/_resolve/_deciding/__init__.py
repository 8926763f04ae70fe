"""The stages in which a pass of a request is decided, each a record of what it settles."""
