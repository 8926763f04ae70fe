"""How near IPNDM comes to the exact result on the shipped networks: made by ``scripts/evidence.py``."""

from __future__ import annotations

from latentry import Evidence

EVIDENCE = (
    Evidence("flow", "shapes-flux", 3.0, ((5, 0.57), (8, 0.085), (12, 0.046), (20, 0.011))),
    Evidence("flow", "shapes-sd3", 2.0, ((5, 0.16), (8, 0.089), (12, 0.033), (20, 0.013))),
    Evidence("vp", "shapes", 1.5, ((5, 0.11), (8, 0.034), (12, 0.017), (20, 0.015))),
)
