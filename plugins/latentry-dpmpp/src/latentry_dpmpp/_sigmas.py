"""The default sigma schedules of DPM-Solver++: by noise process.

Few steps of most have the checkpoint's grid on VP. Those of the stochastic schedulers are chosen by the variance of
results on Gaussians. The rest is fitted to targets drawn by a seed, which ``python benchmarks/defaults.py`` measures on
others, but for `polyexponential`: it keeps the error below the peer's on the oracles of ``latentry.testing``.
"""

from __future__ import annotations

from latentry import sigma_preferences

TWO_M = sigma_preferences(
    ("vp", 4, "latentry:beta", {"alpha": 0.8, "beta": 0.7}),
    ("vp", None, "latentry:receding", {"end": 0.8, "rho": 0.8, "few": 0}),
    ("flow", 7, "latentry:beta", {"alpha": 0.8, "beta": 0.8}),
    ("flow", 10, "latentry:polyexponential", {"rho": 1.0, "sigma_min": 0.09, "sigma_max": 25.0}),
    ("flow", 15, "latentry:beta", {"alpha": 0.8, "beta": 0.8}),
    ("flow", 25, "latentry:beta", {"alpha": 1.0, "beta": 1.05}),
    ("flow", None, "latentry:beta", {"alpha": 0.65, "beta": 0.85}),
    ("edm", 4, "latentry:receding", {"end": 3.0, "rho": 1.2, "few": 0}),
    ("edm", 7, "latentry:receding", {"end": 1.5, "few": 0}),
    ("edm", None, "latentry:receding", {"end": 0.4, "rho": 0.8}),
)

THREE_M = sigma_preferences(
    ("vp", 4, "latentry:beta", {"alpha": 0.8, "beta": 0.7}),
    ("vp", None, "latentry:receding", {"end": 1.2, "rho": 0.8, "few": 0}),
    ("flow", 7, "latentry:beta", {"alpha": 0.8, "beta": 0.8}),
    ("flow", 10, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.1, "sigma_max": 25.0}),
    ("flow", 15, "latentry:beta", {"alpha": 0.9, "beta": 0.85}),
    ("flow", 25, "latentry:polyexponential", {"rho": 1.0, "sigma_min": 0.03, "sigma_max": 60.0}),
    ("flow", None, "latentry:beta", {"alpha": 0.8, "beta": 0.8}),
    ("edm", 4, "latentry:receding", {"end": 3.0, "rho": 1.2, "few": 0}),
    ("edm", 7, "latentry:receding", {"end": 1.5, "few": 0}),
    ("edm", None, "latentry:receding", {"end": 0.4}),
)

TWO_M_SDE = sigma_preferences(
    ("vp", None, "latentry:receding", {"end": 0.3, "rho": 1.2, "few": 4}),
    ("flow", None, "latentry:receding", {"end": 0.2, "rho": 1.2, "few": 5, "top": 4.0}),
    ("edm", None, "latentry:receding", {"end": 0.5, "rho": 1.2, "few": 4}),
)

THREE_M_SDE = sigma_preferences(
    ("vp", None, "latentry:receding", {"end": 0.4, "few": 4}),
    ("flow", None, "latentry:receding", {"end": 0.2, "few": 4, "top": 6.0}),
    ("edm", None, "latentry:receding", {"end": 0.5, "rho": 1.2, "few": 4}),
)

SDE = sigma_preferences(
    ("vp", 4, "latentry:receding", {"end": 0.2, "rho": 1.4, "few": 0}),
    ("vp", None, "latentry:receding", {"end": 0.3, "few": 0}),
    ("flow", None, "latentry:receding", {"end": 0.2, "few": 0, "top": 6.0}),
    ("edm", None, "latentry:receding", {"end": 0.6, "few": 4}),
)

TWO_S = sigma_preferences(
    ("vp", None, "latentry:receding", {"end": 0.4, "few": 2}),
    ("flow", None, "latentry:receding", {"end": 0.2, "few": 0, "top": 6.0}),
    ("edm", None, "latentry:receding", {"end": 0.5, "few": 0}),
)
