"""How near DEIS comes to the exact result on the shipped networks: made by ``scripts/evidence.py``."""

from __future__ import annotations

from latentry import Evidence

EVIDENCE = (
    Evidence("flow", "shapes-flux", 3.0, ((5, 0.33), (8, 0.1), (12, 0.047), (20, 0.028))),
    Evidence("flow", "shapes-sd3", 2.0, ((5, 0.18), (8, 0.082), (12, 0.044), (20, 0.016))),
    Evidence("vp", "shapes", 1.5, ((5, 0.091), (8, 0.034), (12, 0.015), (20, 0.0049))),
)
