"""The default sigma schedules of DPM-Solver++, chosen by error on the oracles of ``latentry.testing``.

The more steps, the lower the last of them starts; with very few the first would be too long for strong guidance.
"""

from __future__ import annotations

from latentry import sigma_preferences

TWO_M = sigma_preferences(
    ("vp", 6, "latentry:beta", {}),
    ("vp", None, "latentry:exponential", {}),
    ("flow", 4, "latentry:beta", {"alpha": 0.8, "beta": 1.0}),
    ("flow", 7, "latentry:polyexponential", {"rho": 1.0, "sigma_min": 0.15, "sigma_max": 30.0}),
    ("flow", 10, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.1, "sigma_max": 40.0}),
    ("flow", 25, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.07, "sigma_max": 60.0}),
    ("flow", None, "latentry:beta", {"alpha": 0.6, "beta": 0.8}),
    ("edm", 5, "latentry:polyexponential", {"rho": 1.0, "sigma_min": 0.05}),
    ("edm", 9, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.03}),
    ("edm", None, "latentry:polyexponential", {"rho": 1.5, "sigma_min": 0.02}),
)

THREE_M = sigma_preferences(
    ("vp", 8, "latentry:beta", {"alpha": 0.8, "beta": 1.0}),
    ("vp", None, "latentry:exponential", {}),
    ("flow", 3, "latentry:beta", {"alpha": 0.6, "beta": 0.4}),
    ("flow", 4, "latentry:beta", {"alpha": 1.0, "beta": 1.5}),
    ("flow", 5, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.2, "sigma_max": 20.0}),
    ("flow", 8, "latentry:polyexponential", {"rho": 1.5, "sigma_min": 0.15, "sigma_max": 40.0}),
    ("flow", 10, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.1, "sigma_max": 40.0}),
    ("flow", None, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.03, "sigma_max": 60.0}),
    ("edm", 4, "latentry:polyexponential", {"rho": 1.0, "sigma_min": 0.05}),
    ("edm", 5, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.2}),
    ("edm", 9, "latentry:polyexponential", {"rho": 1.5, "sigma_min": 0.2}),
    ("edm", None, "latentry:polyexponential", {"rho": 1.0, "sigma_min": 0.01}),
)

TWO_M_SDE = sigma_preferences(
    ("vp", 9, "latentry:beta", {"alpha": 0.6, "beta": 1.5}),
    ("vp", None, "latentry:exponential", {}),
    ("flow", 4, "latentry:beta", {"alpha": 1.2, "beta": 2.0}),
    ("flow", 6, "latentry:beta", {"alpha": 1.4, "beta": 3.5}),
    ("flow", 7, "latentry:beta", {"alpha": 1.2, "beta": 2.0}),
    ("flow", 9, "latentry:polyexponential", {"rho": 1.0, "sigma_min": 0.05, "sigma_max": 8.0}),
    ("flow", 15, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.02, "sigma_max": 8.0}),
    ("flow", None, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.02, "sigma_max": 15.0}),
    ("edm", 7, "latentry:polyexponential", {"rho": 1.5, "sigma_min": 0.1}),
    ("edm", None, "latentry:exponential", {}),
)

THREE_M_SDE = sigma_preferences(
    ("vp", 9, "latentry:beta", {"alpha": 0.6, "beta": 1.5}),
    ("vp", 15, "latentry:polyexponential", {"rho": 1.2}),
    ("vp", None, "latentry:exponential", {}),
    ("flow", 4, "latentry:beta", {"alpha": 1.2, "beta": 2.0}),
    ("flow", 6, "latentry:beta", {"alpha": 1.4, "beta": 3.5}),
    ("flow", 7, "latentry:beta", {"alpha": 1.2, "beta": 2.0}),
    ("flow", 9, "latentry:beta", {"alpha": 0.8, "beta": 2.0}),
    ("flow", 12, "latentry:polyexponential", {"rho": 1.5, "sigma_min": 0.05, "sigma_max": 12.0}),
    ("flow", None, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.02, "sigma_max": 15.0}),
    ("edm", 7, "latentry:polyexponential", {"rho": 1.5, "sigma_min": 0.1}),
    ("edm", None, "latentry:exponential", {}),
)

SDE = sigma_preferences(
    ("vp", 3, "latentry:polyexponential", {"rho": 1.5, "sigma_min": 0.05}),
    ("vp", 12, "latentry:beta", {"alpha": 0.2, "beta": 0.8}),
    ("vp", None, "latentry:exponential", {}),
    ("flow", None, "latentry:beta", {"alpha": 1.0, "beta": 1.5}),
    ("edm", None, "latentry:beta", {"alpha": 0.8, "beta": 1.5}),
)

TWO_S = sigma_preferences(
    ("vp", 3, "latentry:beta", {"alpha": 0.8, "beta": 1.5}),
    ("vp", None, "latentry:exponential", {}),
    ("flow", None, "latentry:beta", {"alpha": 0.8, "beta": 1.0}),
    ("edm", 6, "latentry:polyexponential", {"rho": 1.5, "sigma_min": 0.05}),
    ("edm", None, "latentry:exponential", {}),
)
