"""The default sigma schedules of UniPC: by noise process.

Few steps have the checkpoint's grid on VP and are even in time on flow. The rest is fitted to targets drawn by a seed,
which ``python benchmarks/defaults.py`` measures on others, and on VP and flow to the shipped networks at guidance 1.5
to 7.5: `shapes-flux` wants s = 20 after pure noise in 8 steps, the mixture of ``latentry.testing`` below 10 in 5.
"""

from __future__ import annotations

from latentry import sigma_preferences

SIGMAS = sigma_preferences(
    ("vp", 4, "latentry:linspace", {"multistep": True}),
    ("vp", None, "latentry:receding", {"end": 0.7, "rho": 0.9, "few": 4}),
    ("flow", 5, "latentry:receding", {"end": 1.0, "top": 8.0, "few": 4}),
    ("flow", None, "latentry:receding", {"end": 0.75, "rho": 1.05, "top": 20.0, "rise": 1.5, "few": 4}),
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
