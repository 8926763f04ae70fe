"""The names of an adapter's tensors in its file."""

from __future__ import annotations

PROJECTION = "image_proj.proj.weight"
KEYS, VALUES = "ip_adapter.{}.to_k_ip.weight", "ip_adapter.{}.to_v_ip.weight"
"""By a number that counts all attention layers of the UNet, the odd ones of which attend to the text."""
