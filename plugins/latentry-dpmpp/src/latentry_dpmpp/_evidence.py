"""How near DPMpp2M comes to the exact result on the shipped networks: made by ``scripts/evidence.py``."""

from __future__ import annotations

from latentry import Evidence

EVIDENCE = (
    Evidence("flow", "shapes-flux", 3.0, ((5, 0.32), (8, 0.17), (12, 0.099), (20, 0.037))),
    Evidence("flow", "shapes-sd3", 2.0, ((5, 0.12), (8, 0.07), (12, 0.048), (20, 0.025))),
    Evidence("vp", "shapes", 1.5, ((5, 0.076), (8, 0.023), (12, 0.014), (20, 0.004))),
)
