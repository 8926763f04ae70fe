"""Networks captured as graphs: the same operations without the Python around them, for calls of one kind.

Captures belong to a model in memory and to what is set on it: other LoRAs or another attention make new ones.

May use: nothing.
"""
