"""The default sigma schedules of DPM2 and DPM2Ancestral: by noise process.

Chosen on targets drawn by a seed, and the ancestral ones by the variance of results on Gaussians; ``python
benchmarks/defaults.py`` and ``variances.py`` measure them on others.
"""

from __future__ import annotations

from latentry import sigma_preferences

SIGMAS = sigma_preferences(
    ("vp", None, "latentry:receding", {"end": 0.2, "rho": 0.8, "few": 3}),
    ("flow", None, "latentry:beta", {"alpha": 0.7, "beta": 0.7}),
    ("edm", 2, "latentry:receding", {"end": 3.0, "few": 0}),
    ("edm", None, "latentry:receding", {"end": 0.8, "rho": 0.8, "few": 0}),
)

ANCESTRAL = sigma_preferences(
    ("vp", None, "latentry:receding", {"end": 0.4, "few": 2}),
    ("flow", None, "latentry:receding", {"end": 0.2, "few": 0, "top": 6.0}),
    ("edm", None, "latentry:receding", {"end": 0.5, "few": 0}),
)
