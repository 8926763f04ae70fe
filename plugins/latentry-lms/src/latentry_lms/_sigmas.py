"""The default sigma schedules of LMS, chosen by error on the oracles of ``latentry.testing``.

With more steps, the last one starts at a lower noise level. Those of flows, and of few steps on
EDM, are fitted to targets drawn by a seed.
"""

from __future__ import annotations

from latentry import sigma_preferences

_TO_THE_TABLES_END = sigma_preferences(
    ("vp", 10, "latentry:polyexponential", {"rho": 0.8, "sigma_min": 0.2}),
    ("vp", 20, "latentry:karras", {"rho": 5.0, "sigma_min": 0.12}),
    ("vp", None, "latentry:karras", {"rho": 2.0, "sigma_min": 0.08}),
    final="table",
)

_TO_ZERO = sigma_preferences(
    ("vp", 3, "latentry:beta", {"alpha": 0.8, "beta": 0.7}),
    ("flow", None, "latentry:beta", {"alpha": 0.7, "beta": 0.7}),
    ("edm", 4, "latentry:receding", {"end": 3.0, "rho": 1.2, "few": 0}),
    ("edm", 5, "latentry:receding", {"end": 1.5, "few": 0}),
    ("edm", 12, "latentry:polyexponential", {"rho": 1.0, "sigma_min": 0.15}),
    ("edm", None, "latentry:karras", {"rho": 7.0, "sigma_min": 0.01}),
)

SIGMAS = (*_TO_ZERO, *_TO_THE_TABLES_END)
