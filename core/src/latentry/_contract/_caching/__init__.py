"""Leaving parts of a network out at some evaluations: what a request asks for, and what a pass keeps between them."""
