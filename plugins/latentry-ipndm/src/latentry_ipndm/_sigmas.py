"""The default sigma schedules of iPNDM, chosen by error on the oracles of ``latentry.testing``.

With more steps, the last one starts at a lower noise level. Those of flows, and of few steps on
EDM, are fitted to targets drawn by a seed.
"""

from __future__ import annotations

from latentry import sigma_preferences

_TO_THE_TABLES_END = sigma_preferences(
    ("vp", 5, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.25}),
    ("vp", 7, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.2}),
    ("vp", 15, "latentry:polyexponential", {"rho": 1.0, "sigma_min": 0.12}),
    ("vp", None, "latentry:polyexponential", {"rho": 0.8, "sigma_min": 0.08}),
    final="table",
)

_TO_ZERO = sigma_preferences(
    ("vp", 4, "latentry:beta", {"alpha": 0.8, "beta": 0.7}),
    ("flow", None, "latentry:beta", {"alpha": 0.7, "beta": 0.7}),
    ("edm", 4, "latentry:receding", {"end": 3.0, "rho": 1.2, "few": 0}),
    ("edm", 6, "latentry:receding", {"end": 1.5, "few": 0}),
    ("edm", 10, "latentry:polyexponential", {"rho": 1.0, "sigma_min": 0.1}),
    ("edm", None, "latentry:polyexponential", {"rho": 1.0, "sigma_min": 0.02}),
)

SIGMAS = (*_TO_ZERO, *_TO_THE_TABLES_END)
