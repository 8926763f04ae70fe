"""How near DDIM comes to the exact result on the shipped networks: made by ``scripts/evidence.py``."""

from __future__ import annotations

from latentry import Evidence

EVIDENCE = (
    Evidence("flow", "shapes-flux", 3.0, ((5, 0.36), (8, 0.3), (12, 0.17), (20, 0.094))),
    Evidence("flow", "shapes-sd3", 2.0, ((5, 0.17), (8, 0.11), (12, 0.078), (20, 0.054))),
    Evidence("vp", "shapes", 1.5, ((5, 0.15), (8, 0.076), (12, 0.052), (20, 0.033))),
)
