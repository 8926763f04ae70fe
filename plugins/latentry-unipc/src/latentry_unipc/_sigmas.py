"""The default sigma schedules of UniPC, chosen by error on the oracles of ``latentry.testing``.

About even in λ, and the more steps, the lower the last of them starts; with very few the first steps would be too long
for strong guidance. The first of 7 to 12 steps on a VP process, and of 7 and 8 on a flow, are shorter than is best on
the oracles, because a trained network under guidance is less smooth in noise than they are. On a flow the second level
matters most: the step from pure noise is the one of lowest order.
"""

from __future__ import annotations

from latentry import sigma_preferences

SIGMAS = sigma_preferences(
    ("vp", 3, "latentry:beta", {"alpha": 0.8, "beta": 1.0}),
    ("vp", 4, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.2}),
    ("vp", 6, "latentry:beta", {"alpha": 0.8, "beta": 1.0}),
    ("vp", 8, "latentry:polyexponential", {"rho": 0.92, "sigma_min": 0.07}),
    ("vp", 12, "latentry:polyexponential", {"rho": 1.0, "sigma_min": 0.05}),
    ("vp", None, "latentry:exponential", {}),
    ("flow", 4, "latentry:beta", {"alpha": 1.2, "beta": 0.8}),
    ("flow", 5, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.2, "sigma_max": 25.0}),
    ("flow", 6, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.15, "sigma_max": 30.0}),
    ("flow", 8, "latentry:polyexponential", {"rho": 1.0, "sigma_min": 0.1, "sigma_max": 30.0}),
    ("flow", 15, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.07, "sigma_max": 40.0}),
    ("flow", 25, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.03, "sigma_max": 60.0}),
    ("flow", None, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.02, "sigma_max": 60.0}),
    ("edm", 3, "latentry:beta", {"alpha": 1.2, "beta": 0.6}),
    ("edm", 5, "latentry:polyexponential", {"rho": 1.0, "sigma_min": 0.07}),
    ("edm", 6, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.03}),
    ("edm", 8, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.1}),
    ("edm", 19, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.05}),
    ("edm", None, "latentry:beta", {"alpha": 1.2, "beta": 1.5}),
)
