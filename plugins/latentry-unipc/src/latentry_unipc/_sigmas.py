"""The default sigma schedules of UniPC: by noise process.

Few steps have the checkpoint's grid on VP. The rest is fitted to targets drawn by a seed, which
``python benchmarks/defaults.py`` measures on others, and on VP to the shipped networks at guidance 1.5 to 7.5; but for
`polyexponential`: it keeps the error below the peer's on the oracles of ``latentry.testing``.
"""

from __future__ import annotations

from latentry import sigma_preferences

SIGMAS = sigma_preferences(
    ("vp", 4, "latentry:linspace", {"multistep": True}),
    ("vp", None, "latentry:receding", {"end": 0.7, "rho": 0.9, "few": 4}),
    ("flow", 4, "latentry:trailing", {}),
    ("flow", 5, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.2, "sigma_max": 25.0}),
    ("flow", 6, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.15, "sigma_max": 30.0}),
    ("flow", 8, "latentry:polyexponential", {"rho": 1.0, "sigma_min": 0.1, "sigma_max": 30.0}),
    ("flow", 10, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.07, "sigma_max": 40.0}),
    ("flow", 15, "latentry:beta", {"alpha": 0.8, "beta": 0.8}),
    ("flow", 25, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.03, "sigma_max": 60.0}),
    ("flow", None, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.02, "sigma_max": 60.0}),
    ("edm", 4, "latentry:receding", {"end": 3.0, "rho": 1.2, "few": 0}),
    ("edm", 7, "latentry:receding", {"end": 1.5, "few": 0}),
    ("edm", None, "latentry:receding", {"end": 0.25}),
)

ADAPTIVE = sigma_preferences(
    ("vp", None, "latentry:exponential", {}),
    ("flow", None, "latentry:trailing", {}),
    ("edm", None, "latentry:exponential", {}),
)
"""Those of ``unipc-adaptive``: they only place the levels it stops at."""
