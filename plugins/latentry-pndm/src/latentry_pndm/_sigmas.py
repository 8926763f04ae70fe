"""The default sigma schedules of PNDM, chosen by error on the oracles of ``latentry.testing``.

With more steps, the last one starts at a lower noise level. Those of flows are fitted to targets drawn by a
seed.
"""

from __future__ import annotations

from latentry import sigma_preferences

_TO_THE_TABLES_END = sigma_preferences(
    ("vp", 4, "latentry:karras", {"span": "leading", "rho": 3.0, "sigma_min": 0.05}),
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
    ("edm", 3, "latentry:receding", {"end": 0.4, "rho": 0.8, "few": 7}),
    ("edm", 5, "latentry:polyexponential", {"rho": 1.5, "sigma_min": 0.2}),
    ("edm", 7, "latentry:polyexponential", {"rho": 1.0, "sigma_min": 0.2}),
    ("edm", 12, "latentry:polyexponential", {"rho": 1.2, "sigma_min": 0.07}),
    ("edm", None, "latentry:polyexponential", {"rho": 1.0, "sigma_min": 0.02}),
)

SIGMAS = (*_TO_ZERO, *_TO_THE_TABLES_END)
