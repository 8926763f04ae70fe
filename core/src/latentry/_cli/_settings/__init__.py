"""Defaults of one's own: the configuration file, the variables, and where a value came from."""
