"""The default sigma schedules of restart sampling, chosen by variance error on Gaussians and an image spectrum."""

from __future__ import annotations

from latentry import sigma_preferences

SIGMAS = sigma_preferences(
    ("vp", 3, "latentry:polyexponential", {"rho": 0.8, "sigma_min": 0.1}),
    ("vp", 5, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.05}),
    ("vp", 8, "latentry:polyexponential", {"rho": 1.0, "sigma_min": 0.05}),
    ("vp", None, "latentry:exponential", {}),
    ("flow", 3, "latentry:polyexponential", {"rho": 1.0, "sigma_min": 0.1, "sigma_max": 20.0}),
    ("flow", 5, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.05, "sigma_max": 8.0}),
    ("flow", 8, "latentry:polyexponential", {"rho": 1.0, "sigma_min": 0.05, "sigma_max": 40.0}),
    ("flow", 12, "latentry:beta", {"alpha": 0.6, "beta": 0.6}),
    ("flow", None, "latentry:exponential", {}),
    ("edm", 5, "latentry:polyexponential", {"rho": 1.5, "sigma_min": 0.05}),
    ("edm", 8, "latentry:polyexponential", {"rho": 1.0, "sigma_min": 0.05}),
    ("edm", 12, "latentry:polyexponential", {"rho": 0.8, "sigma_min": 0.05}),
    ("edm", None, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.02}),
)
