"""The default sigma schedules of DEIS, chosen by error on the oracles of ``latentry.testing``."""

from __future__ import annotations

from latentry import sigma_preferences

SIGMAS = sigma_preferences(
    ("vp", 6, "latentry:beta", {}),
    ("vp", None, "latentry:exponential", {}),
    ("flow", 6, "latentry:beta", {"alpha": 0.8, "beta": 1.0}),
    ("flow", None, "latentry:beta", {}),
    ("edm", 6, "latentry:polyexponential", {"rho": 1.5, "sigma_min": 0.2}),
    ("edm", 9, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.1}),
    ("edm", None, "latentry:beta", {"alpha": 1.2, "beta": 0.8}),
)
