"""The default sigma schedules of DEIS: by noise process.

Few steps have the checkpoint's grid on VP. The rest is fitted to targets drawn by a seed, which
``python benchmarks/defaults.py`` measures on others, but for `polyexponential`: it keeps the error below the peer's on
the oracles of ``latentry.testing``.
"""

from __future__ import annotations

from latentry import sigma_preferences

SIGMAS = sigma_preferences(
    ("vp", 3, "latentry:beta", {"alpha": 0.8, "beta": 0.7}),
    ("vp", None, "latentry:receding", {"end": 0.8, "rho": 0.8, "few": 0}),
    ("flow", None, "latentry:beta", {"alpha": 0.7, "beta": 0.65}),
    ("edm", 4, "latentry:receding", {"end": 3.0, "rho": 1.2, "few": 0}),
    ("edm", 7, "latentry:receding", {"end": 1.5, "few": 0}),
    ("edm", None, "latentry:receding", {"end": 0.2, "rho": 0.8}),
)
