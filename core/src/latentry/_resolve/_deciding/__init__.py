"""What a pass of a request is decided in: what it works with, in turn."""
