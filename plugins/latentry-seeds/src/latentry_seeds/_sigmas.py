"""The default sigma schedules of SEEDS, chosen by variance error on Gaussians and an image-like spectrum.

On these grids strongly guided sampling does not diverge in few steps either.
"""

from __future__ import annotations

from latentry import sigma_preferences

TWO = sigma_preferences(
    ("vp", 12, "latentry:beta", {"alpha": 0.2, "beta": 0.8}),
    ("vp", None, "latentry:exponential", {}),
    ("flow", 5, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.1, "sigma_max": 8.0}),
    ("flow", 8, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.05, "sigma_max": 8.0}),
    ("flow", None, "latentry:polyexponential", {"rho": 1.0, "sigma_min": 0.02, "sigma_max": 8.0}),
    ("edm", 5, "latentry:polyexponential", {"rho": 1.5, "sigma_min": 0.1}),
    ("edm", 12, "latentry:polyexponential", {"rho": 1.5, "sigma_min": 0.05}),
    ("edm", None, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.02}),
)

THREE = sigma_preferences(
    ("vp", None, "latentry:exponential", {}),
    ("flow", 5, "latentry:polyexponential", {"rho": 1.0, "sigma_min": 0.02, "sigma_max": 20.0}),
    ("flow", 8, "latentry:polyexponential", {"rho": 1.0, "sigma_min": 0.02, "sigma_max": 40.0}),
    ("flow", None, "latentry:beta", {"alpha": 0.4, "beta": 0.8}),
    ("edm", 5, "latentry:beta", {"alpha": 1.0, "beta": 1.5}),
    ("edm", 12, "latentry:trailing", {}),
    ("edm", None, "latentry:beta", {"alpha": 0.6, "beta": 0.6}),
)
