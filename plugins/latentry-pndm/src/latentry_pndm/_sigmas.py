"""The default sigma schedules of PNDM.

Those of VP, but for the checkpoint's grid in few steps, are chosen by error on the oracles of ``latentry.testing``; the
others are fitted to targets drawn by a seed, which ``python benchmarks/defaults.py`` measures on others.
"""

from __future__ import annotations

from latentry import sigma_preferences

_TO_THE_TABLES_END = sigma_preferences(
    ("vp", 4, "latentry:karras", {"span": "leading", "rho": 3.0, "sigma_min": 0.25}),
    ("vp", 6, "latentry:polyexponential", {"rho": 1.0, "sigma_min": 0.2}),
    ("vp", 7, "latentry:polyexponential", {"rho": 0.8, "sigma_min": 0.12}),
    ("vp", 25, "latentry:polyexponential", {"rho": 1.0, "sigma_min": 0.1}),
    ("vp", None, "latentry:karras", {"rho": 3.0, "sigma_min": 0.08}),
    final="table",
)
"""In four steps it is best not to begin at the noisiest level."""

_TO_ZERO = sigma_preferences(
    ("vp", 3, "latentry:linspace", {"multistep": True}),
    ("flow", None, "latentry:beta", {"alpha": 0.8, "beta": 0.8}),
    ("edm", 5, "latentry:receding", {"end": 3.0, "rho": 1.2, "few": 0}),
    ("edm", None, "latentry:receding", {"end": 0.4, "rho": 0.8, "few": 0}),
)

SIGMAS = (*_TO_ZERO, *_TO_THE_TABLES_END)
