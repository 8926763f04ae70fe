"""The default sigma schedules of STORK, chosen by error on random mixtures, guided ones too, and image spectra.

With few steps they are the grids on which the polynomial does not diverge.
"""

from __future__ import annotations

from latentry import sigma_preferences

SIGMAS = sigma_preferences(
    ("vp", 3, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.2}),
    ("vp", 5, "latentry:beta", {"alpha": 0.2, "beta": 0.8}),
    ("vp", 8, "latentry:kl-optimal", {}),
    ("vp", None, "latentry:polyexponential", {"rho": 0.8}),
    ("flow", 6, "latentry:beta", {"alpha": 0.8, "beta": 1.0}),
    ("flow", None, "latentry:beta", {"alpha": 0.6, "beta": 0.6}),
    ("edm", 6, "latentry:polyexponential", {"rho": 2.0, "sigma_min": 0.3}),
    ("edm", 7, "latentry:polyexponential", {"rho": 2.0, "sigma_min": 0.2}),
    ("edm", 8, "latentry:polyexponential", {"rho": 2.0, "sigma_min": 0.1}),
    ("edm", 15, "latentry:polyexponential", {"rho": 1.0, "sigma_min": 0.05}),
    ("edm", None, "latentry:polyexponential", {"rho": 0.8, "sigma_min": 0.02}),
)
