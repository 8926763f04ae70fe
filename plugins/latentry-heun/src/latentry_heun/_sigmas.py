"""The default sigma schedules of Heun's method, chosen by error on the oracles of ``latentry.testing``.

With more steps, the last one starts at a lower noise level.
"""

from __future__ import annotations

from latentry import sigma_preferences

SIGMAS = sigma_preferences(
    ("vp", 3, "latentry:beta", {"alpha": 0.6, "beta": 1.0}),
    ("vp", 6, "latentry:polyexponential", {"rho": 1.0, "sigma_min": 0.12}),
    ("vp", 12, "latentry:polyexponential", {"rho": 1.0, "sigma_min": 0.08}),
    ("vp", None, "latentry:polyexponential", {"rho": 0.8}),
    ("flow", 3, "latentry:beta", {"alpha": 1.0, "beta": 1.5}),
    ("flow", 6, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.15, "sigma_max": 40.0}),
    ("flow", 8, "latentry:polyexponential", {"rho": 1.0, "sigma_min": 0.1, "sigma_max": 40.0}),
    ("flow", None, "latentry:beta", {"alpha": 0.8, "beta": 0.8}),
    ("edm", 3, "latentry:polyexponential", {"rho": 1.5, "sigma_min": 0.2}),
    ("edm", 7, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.15}),
    ("edm", 12, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.1}),
    ("edm", None, "latentry:polyexponential", {"rho": 1.0, "sigma_min": 0.05}),
)
