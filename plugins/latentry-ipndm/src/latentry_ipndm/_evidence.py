"""How near IPNDM comes to the exact result on the shipped networks: made by ``scripts/evidence.py``."""

from __future__ import annotations

from latentry import Evidence

EVIDENCE = (
    Evidence("flow", "shapes-flux", 3.0, ((5, 0.34), (8, 0.15), (12, 0.077), (20, 0.03))),
    Evidence("flow", "shapes-sd3", 2.0, ((5, 0.14), (8, 0.088), (12, 0.039), (20, 0.012))),
    Evidence("vp", "shapes", 1.5, ((5, 0.1), (8, 0.033), (12, 0.015), (20, 0.016))),
)
