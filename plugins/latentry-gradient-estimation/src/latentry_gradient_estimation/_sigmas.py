"""The default sigma schedules of gradient estimation, chosen by error on mixtures, also guided, and image spectra.

With few steps they are the grids on which the extrapolated slope does not diverge.
"""

from __future__ import annotations

from latentry import sigma_preferences

SIGMAS = sigma_preferences(
    ("vp", 3, "latentry:polyexponential", {"rho": 1.5, "sigma_min": 0.2}),
    ("vp", 5, "latentry:beta", {"alpha": 0.8, "beta": 1.5}),
    ("vp", 8, "latentry:polyexponential", {"rho": 1.5, "sigma_min": 0.2}),
    ("vp", 20, "latentry:beta", {"alpha": 0.4, "beta": 0.8}),
    ("vp", None, "latentry:kl-optimal", {}),
    ("flow", 6, "latentry:beta", {"alpha": 1.0, "beta": 1.5}),
    ("flow", 8, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.1, "sigma_max": 60.0}),
    ("flow", 12, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.05, "sigma_max": 60.0}),
    ("flow", 25, "latentry:beta", {"alpha": 0.8, "beta": 0.8}),
    ("flow", None, "latentry:trailing", {}),
    ("edm", 8, "latentry:polyexponential", {"rho": 2.0, "sigma_min": 0.3}),
    ("edm", 12, "latentry:polyexponential", {"rho": 1.5, "sigma_min": 0.1}),
    ("edm", None, "latentry:kl-optimal", {}),
)
