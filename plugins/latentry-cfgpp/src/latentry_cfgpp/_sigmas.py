"""The default sigma schedules of CFG++, chosen by error where the guided and unguided outputs agree.

Where they differ, there is no exact result to measure against.
"""

from __future__ import annotations

from latentry import sigma_preferences

DDIM = sigma_preferences(
    ("vp", None, "latentry:beta", {"alpha": 0.4, "beta": 0.8}),
    ("flow", None, "latentry:beta", {"alpha": 0.8, "beta": 0.8}),
    ("edm", 5, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.2}),
    ("edm", None, "latentry:kl-optimal", {}),
)

ANCESTRAL = sigma_preferences(
    ("vp", 8, "latentry:polyexponential", {"rho": 1.5, "sigma_min": 0.1}),
    ("vp", 25, "latentry:polyexponential", {"rho": 1.5, "sigma_min": 0.05}),
    ("vp", None, "latentry:beta", {"alpha": 0.4, "beta": 0.8}),
    ("flow", None, "latentry:beta", {"alpha": 0.8, "beta": 1.5}),
    ("edm", 12, "latentry:polyexponential", {"rho": 1.5, "sigma_min": 0.1}),
    ("edm", None, "latentry:polyexponential", {"rho": 1.5, "sigma_min": 0.05}),
)

TWO_M = sigma_preferences(
    ("vp", None, "latentry:beta", {"alpha": 0.4, "beta": 0.8}),
    ("flow", 5, "latentry:polyexponential", {"rho": 1.0, "sigma_min": 0.1, "sigma_max": 40.0}),
    ("flow", 15, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.05, "sigma_max": 60.0}),
    ("flow", None, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.02, "sigma_max": 60.0}),
    ("edm", 5, "latentry:polyexponential", {"rho": 0.8, "sigma_min": 0.2}),
    ("edm", 8, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.05}),
    ("edm", 15, "latentry:polyexponential", {"rho": 1.5, "sigma_min": 0.02}),
    ("edm", 25, "latentry:polyexponential", {"rho": 2.0, "sigma_min": 0.02}),
    ("edm", None, "latentry:polyexponential", {"rho": 1.5, "sigma_min": 0.02}),
)

TWO_S = sigma_preferences(
    ("vp", 12, "latentry:beta", {"alpha": 0.2, "beta": 0.8}),
    ("vp", None, "latentry:exponential", {}),
    ("flow", 5, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.1, "sigma_max": 8.0}),
    ("flow", 8, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.05, "sigma_max": 8.0}),
    ("flow", None, "latentry:polyexponential", {"rho": 1.0, "sigma_min": 0.02, "sigma_max": 8.0}),
    ("edm", 5, "latentry:polyexponential", {"rho": 1.5, "sigma_min": 0.1}),
    ("edm", 12, "latentry:polyexponential", {"rho": 1.5, "sigma_min": 0.05}),
    ("edm", None, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.02}),
)
