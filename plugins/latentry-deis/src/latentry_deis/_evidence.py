"""How near DEIS comes to the exact result on the shipped networks: made by ``scripts/evidence.py``."""

from __future__ import annotations

from latentry import Evidence

EVIDENCE = (
    Evidence("flow", "shapes-flux", 3.0, ((5, 0.31), (8, 0.11), (12, 0.05), (20, 0.027))),
    Evidence("flow", "shapes-sd3", 2.0, ((5, 0.1), (8, 0.077), (12, 0.041), (20, 0.016))),
    Evidence("vp", "shapes", 1.5, ((5, 0.075), (8, 0.033), (12, 0.015), (20, 0.0047))),
)
