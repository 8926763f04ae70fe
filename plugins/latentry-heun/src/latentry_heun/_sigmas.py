"""The default sigma schedules of Heun's method: by noise process.

Those of `receding` are fitted to targets drawn by a seed (``python benchmarks/defaults.py`` measures them on others);
the others keep the error below diffusers' on the oracles of ``latentry.testing``, where one rule did not.

Of two steps the second goes from s = 2 to σ = 0, near where what is asked for is decided, whatever the time shift: from
higher up guidance carries it past the signal, and a step down to less is too long for two evaluations.
"""

from __future__ import annotations

from latentry import sigma_preferences

SIGMAS = sigma_preferences(
    ("vp", 3, "latentry:linspace", {"multistep": True}),
    ("vp", None, "latentry:receding", {"end": 0.8, "rho": 0.8, "few": 0}),
    ("flow", 2, "latentry:receding", {"end": 4.0, "few": 0, "shift": 1.0}),
    ("flow", None, "latentry:beta", {"alpha": 0.7, "beta": 0.7}),
    ("edm", 3, "latentry:receding", {"end": 3.5, "rho": 1.6, "few": 0}),
    ("edm", None, "latentry:receding", {"end": 0.8, "rho": 0.8, "few": 0}),
)
