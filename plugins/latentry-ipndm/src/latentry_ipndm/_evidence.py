"""How near IPNDM comes to the exact result on the shipped networks: made by ``scripts/evidence.py``."""

from __future__ import annotations

from latentry import Evidence

EVIDENCE = (
    Evidence("flow", "shapes-flux", 3.0, ((5, 0.32), (8, 0.078), (12, 0.029), (20, 0.0091))),
    Evidence("flow", "shapes-sd3", 2.0, ((5, 0.16), (8, 0.073), (12, 0.03), (20, 0.013))),
    Evidence("vp", "shapes", 1.5, ((5, 0.1), (8, 0.033), (12, 0.015), (20, 0.016))),
)
