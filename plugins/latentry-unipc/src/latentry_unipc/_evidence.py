"""How near UniPC comes to the exact result on the shipped networks: made by ``scripts/evidence.py``."""

from __future__ import annotations

from latentry import Evidence

EVIDENCE = (
    Evidence("flow", "shapes-flux", 3.0, ((5, 0.64), (8, 0.14), (12, 0.047), (20, 0.014))),
    Evidence("flow", "shapes-sd3", 2.0, ((5, 0.18), (8, 0.05), (12, 0.032), (20, 0.014))),
    Evidence("vp", "shapes", 1.5, ((5, 0.11), (8, 0.025), (12, 0.0077), (20, 0.0034))),
)
