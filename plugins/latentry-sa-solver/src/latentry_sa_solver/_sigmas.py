"""The default sigma schedules of SA-Solver, chosen by error on the oracles of ``latentry.testing``."""

from __future__ import annotations

from latentry import sigma_preferences

SIGMAS = sigma_preferences(
    ("vp", 6, "latentry:kl-optimal", {}),
    ("vp", 20, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.05}),
    ("vp", None, "latentry:exponential", {}),
    ("flow", 5, "latentry:beta", {"alpha": 1.2, "beta": 1.5}),
    ("flow", 8, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.05, "sigma_max": 15.0}),
    ("flow", 20, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.02, "sigma_max": 8.0}),
    ("flow", None, "latentry:exponential", {}),
    ("edm", 20, "latentry:kl-optimal", {}),
    ("edm", None, "latentry:exponential", {}),
)
