"""How near DDIM comes to the exact result on the shipped networks: made by ``scripts/evidence.py``."""

from __future__ import annotations

from latentry import Evidence

EVIDENCE = (
    Evidence("flow", "shapes-flux", 3.0, ((5, 0.67), (8, 0.63), (12, 0.19), (20, 0.076))),
    Evidence("flow", "shapes-sd3", 2.0, ((5, 0.27), (8, 0.13), (12, 0.079), (20, 0.045))),
    Evidence("vp", "shapes", 1.5, ((5, 0.47), (8, 0.12), (12, 0.063), (20, 0.038))),
)
