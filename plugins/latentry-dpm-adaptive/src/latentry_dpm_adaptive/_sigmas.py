"""The default sigma schedules of DPM-Solver's single steps.

Those of ``dpm-fast`` are chosen by error on random mixtures, guided ones too, and image spectra. For ``dpm-adaptive``
the schedule only places the levels it stops at.
"""

from __future__ import annotations

from latentry import sigma_preferences

FAST = sigma_preferences(
    ("vp", 4, "latentry:linspace", {"multistep": True}),
    ("vp", None, "latentry:receding", {"end": 0.4, "rho": 0.8, "few": 4}),
    ("flow", None, "latentry:beta", {"alpha": 0.7, "beta": 0.7}),
    ("edm", 4, "latentry:receding", {"end": 3.0, "rho": 1.2, "few": 0}),
    ("edm", 7, "latentry:receding", {"end": 1.5, "few": 0}),
    ("edm", None, "latentry:receding", {"end": 0.4, "rho": 0.8}),
)

ADAPTIVE = sigma_preferences(
    ("vp", None, "latentry:exponential", {}),
    ("flow", None, "latentry:trailing", {}),
    ("edm", None, "latentry:exponential", {}),
)
