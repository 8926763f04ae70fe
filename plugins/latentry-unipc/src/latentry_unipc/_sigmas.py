"""The default sigma schedules of UniPC: a rule for each noise process, on flows one for few steps.

Chosen on targets drawn by a seed; ``python benchmarks/defaults.py`` measures them on others.
"""

from __future__ import annotations

from latentry import sigma_preferences

SIGMAS = sigma_preferences(
    ("vp", None, "latentry:receding", {"end": 0.5, "rho": 1.0, "few": 4}),
    # on few steps the second level matters most: the step from pure noise is the one of lowest order
    ("flow", 15, "latentry:receding", {"end": 0.7, "rho": 1.2, "few": 7, "top": 15.0}),
    ("flow", None, "latentry:receding", {"end": 0.5, "rho": 1.0, "few": 7, "top": 20.0}),
    ("edm", None, "latentry:receding", {"end": 0.25, "rho": 1.0, "few": 7}),
)
