"""The default sigma schedules of these solvers, chosen by error on the oracles of ``latentry.testing``.

With more steps, the last one starts at a lower noise level.
"""

from __future__ import annotations

from latentry import sigma_preferences

TWO_M = sigma_preferences(
    ("vp", 6, "latentry:beta", {"alpha": 0.8, "beta": 1.0}),
    ("vp", None, "latentry:exponential", {}),
    ("flow", 3, "latentry:beta", {"alpha": 0.8, "beta": 1.0}),
    ("flow", 4, "latentry:beta", {"alpha": 1.0, "beta": 1.5}),
    ("flow", 7, "latentry:polyexponential", {"rho": 1.0, "sigma_min": 0.15, "sigma_max": 30.0}),
    ("flow", 10, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.1, "sigma_max": 40.0}),
    ("flow", 25, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.07, "sigma_max": 60.0}),
    ("flow", None, "latentry:beta", {"alpha": 0.6, "beta": 0.8}),
    ("edm", 4, "latentry:polyexponential", {"rho": 1.0, "sigma_min": 0.05}),
    ("edm", 5, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.15}),
    ("edm", 10, "latentry:polyexponential", {"rho": 1.5, "sigma_min": 0.1}),
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

TWO_S = sigma_preferences(
    ("vp", None, "latentry:exponential", {}),
    ("flow", 3, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.2, "sigma_max": 40.0}),
    ("flow", None, "latentry:beta", {}),
    ("edm", 3, "latentry:beta", {"alpha": 0.8, "beta": 1.0}),
    ("edm", 4, "latentry:polyexponential", {"rho": 1.0, "sigma_min": 0.2}),
    ("edm", None, "latentry:beta", {"alpha": 0.8, "beta": 1.0}),
)
