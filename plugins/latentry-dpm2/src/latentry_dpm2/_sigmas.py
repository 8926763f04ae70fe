"""The default sigma schedules of DPM2 and DPM2Ancestral, chosen by error on the oracles of ``latentry.testing``."""

from __future__ import annotations

from latentry import sigma_preferences

SIGMAS = sigma_preferences(
    ("vp", 2, "latentry:beta", {"alpha": 0.8, "beta": 1.5}),
    ("vp", 3, "latentry:kl-optimal", {"sigma_min": 0.2}),
    ("vp", 4, "latentry:beta", {}),
    ("vp", 10, "latentry:polyexponential", {"rho": 1.0, "sigma_min": 0.12}),
    ("vp", None, "latentry:polyexponential", {"rho": 0.8}),
    ("flow", 5, "latentry:beta", {"alpha": 0.6, "beta": 1.0}),
    ("flow", None, "latentry:beta", {"alpha": 0.8, "beta": 0.6}),
    ("edm", 2, "latentry:beta", {"alpha": 1.2, "beta": 1.0}),
    ("edm", 3, "latentry:kl-optimal", {"sigma_min": 0.2}),
    ("edm", 8, "latentry:kl-optimal", {"sigma_min": 0.1}),
    ("edm", None, "latentry:polyexponential", {"rho": 1.0, "sigma_min": 0.05}),
)

ANCESTRAL = sigma_preferences(
    ("vp", None, "latentry:kl-optimal", {}),
    ("flow", 14, "latentry:beta", {"alpha": 0.8, "beta": 1.5}),
    ("flow", None, "latentry:kl-optimal", {}),
    ("edm", 14, "latentry:polyexponential", {"rho": 1.5, "sigma_min": 0.1}),
    ("edm", None, "latentry:kl-optimal", {}),
)
