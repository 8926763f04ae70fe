"""The default sigma schedules of DPM-Solver's single steps.

Those of ``dpm-fast`` are chosen by error on random mixtures, guided ones too, and image spectra. For ``dpm-adaptive``
the schedule only places the levels it stops at.
"""

from __future__ import annotations

from latentry import sigma_preferences

FAST = sigma_preferences(
    ("vp", 8, "latentry:beta", {"alpha": 0.4, "beta": 0.8}),
    ("vp", 12, "latentry:polyexponential", {"rho": 1.0, "sigma_min": 0.1}),
    ("vp", 25, "latentry:beta", {"alpha": 0.4, "beta": 0.8}),
    ("vp", None, "latentry:polyexponential", {"rho": 0.8}),
    ("flow", 5, "latentry:beta", {"alpha": 0.8, "beta": 0.8}),
    ("flow", 8, "latentry:beta", {"alpha": 0.8, "beta": 1.0}),
    ("flow", 12, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.05, "sigma_max": 60.0}),
    ("flow", None, "latentry:beta", {"alpha": 0.6, "beta": 0.6}),
    ("edm", 5, "latentry:polyexponential", {"rho": 2.0, "sigma_min": 0.3}),
    ("edm", 8, "latentry:polyexponential", {"rho": 2.0, "sigma_min": 0.2}),
    ("edm", 12, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.1}),
    ("edm", 25, "latentry:polyexponential", {"rho": 1.0, "sigma_min": 0.02}),
    ("edm", None, "latentry:karras", {}),
)

ADAPTIVE = sigma_preferences(
    ("vp", None, "latentry:exponential", {}),
    ("flow", None, "latentry:trailing", {}),
    ("edm", None, "latentry:exponential", {}),
)
