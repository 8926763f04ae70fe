"""How near DPMpp2M comes to the exact result on the shipped networks: made by ``scripts/evidence.py``."""

from __future__ import annotations

from latentry import Evidence

EVIDENCE = (
    Evidence("flow", "shapes-flux", 3.0, ((5, 0.34), (8, 0.11), (12, 0.074), (20, 0.073))),
    Evidence("flow", "shapes-sd3", 2.0, ((5, 0.1), (8, 0.047), (12, 0.042), (20, 0.031))),
    Evidence("vp", "shapes", 1.5, ((5, 0.061), (8, 0.028), (12, 0.014), (20, 0.0047))),
)
