"""How near UniPC comes to the exact result on the shipped networks: made by ``scripts/evidence.py``."""

from __future__ import annotations

from latentry import Evidence

EVIDENCE = (
    Evidence("flow", "shapes-flux", 3.0, ((5, 0.22), (8, 0.068), (12, 0.035), (20, 0.014))),
    Evidence("flow", "shapes-sd3", 2.0, ((5, 0.13), (8, 0.05), (12, 0.028), (20, 0.016))),
    Evidence("vp", "shapes", 1.5, ((5, 0.061), (8, 0.022), (12, 0.0077), (20, 0.0028))),
)
