"""How near DEIS comes to the exact result on the shipped networks: made by ``scripts/evidence.py``."""

from __future__ import annotations

from latentry import Evidence

EVIDENCE = (
    Evidence("flow", "shapes-flux", 3.0, ((5, 0.67), (8, 0.13), (12, 0.055), (20, 0.036))),
    Evidence("flow", "shapes-sd3", 2.0, ((5, 0.3), (8, 0.072), (12, 0.033), (20, 0.013))),
    Evidence("vp", "shapes", 1.5, ((5, 0.091), (8, 0.06), (12, 0.03), (20, 0.0092))),
)
