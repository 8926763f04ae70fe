"""How near DPMpp2M comes to the exact result on the shipped networks: made by ``scripts/evidence.py``."""

from __future__ import annotations

from latentry import Evidence

EVIDENCE = (
    Evidence("flow", "shapes-flux", 3.0, ((5, 0.59), (8, 0.12), (12, 0.05), (20, 0.032))),
    Evidence("flow", "shapes-sd3", 2.0, ((5, 0.16), (8, 0.066), (12, 0.037), (20, 0.032))),
    Evidence("vp", "shapes", 1.5, ((5, 0.091), (8, 0.05), (12, 0.022), (20, 0.0073))),
)
