"""How near UniPC comes to the exact result on the shipped networks: made by ``scripts/evidence.py``."""

from __future__ import annotations

from latentry import Evidence

EVIDENCE = (
    Evidence("flow", "shapes-flux", 3.0, ((5, 0.34), (8, 0.09), (12, 0.065), (20, 0.0095))),
    Evidence("flow", "shapes-sd3", 2.0, ((5, 0.11), (8, 0.049), (12, 0.034), (20, 0.013))),
    Evidence("vp", "shapes", 1.5, ((5, 0.061), (8, 0.022), (12, 0.0077), (20, 0.0028))),
)
