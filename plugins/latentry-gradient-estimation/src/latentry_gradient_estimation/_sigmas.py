"""The default sigma schedules of gradient estimation, by error on random mixtures and Gaussians, some of them guided.

With few steps they are the grids on which the extrapolated slope does not run away.
"""

from __future__ import annotations

from latentry import sigma_preferences

SIGMAS = sigma_preferences(
    ("vp", 3, "latentry:polyexponential", {"rho": 1.5, "sigma_min": 0.2}),
    ("vp", 5, "latentry:beta", {"alpha": 0.8, "beta": 1.5}),
    ("vp", 8, "latentry:polyexponential", {"rho": 1.5, "sigma_min": 0.2}),
    ("vp", 20, "latentry:beta", {"alpha": 0.4, "beta": 0.8}),
    ("vp", None, "latentry:kl-optimal", {}),
    ("flow", 8, "latentry:beta", {"alpha": 1.0, "beta": 1.5}),
    ("flow", None, "latentry:beta", {"alpha": 1.2, "beta": 2.0}),
    ("edm", 8, "latentry:polyexponential", {"rho": 2.0, "sigma_min": 0.3}),
    ("edm", 12, "latentry:polyexponential", {"rho": 1.5, "sigma_min": 0.1}),
    ("edm", None, "latentry:kl-optimal", {}),
)
