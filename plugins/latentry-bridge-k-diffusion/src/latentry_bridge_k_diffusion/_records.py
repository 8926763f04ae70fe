"""The records of k-diffusion's samplers; importing this imports neither torch nor k-diffusion."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from latentry import ProcessKind, SchedulerSpec, SigmaPreference

ADAPTIVE = frozenset({"sample_dpm_adaptive"})
_SPREADING: frozenset[ProcessKind] = frozenset({"vp", "edm"})
"""Where x/α is what k-diffusion's x is. On a rectified flow it works on the process's own x, on which the noise that
its stochastic samplers add is too little.
"""
_NO_SYNC = ("host_sync", "the function compares levels on the host, and is answered by level")
_UNGUARDED = ("stability", "k-diffusion has no guard; on few steps of its Karras grid it goes too far out")
_FLOW = ("one_answer", "on a rectified flow it works on the process's own x and t, as ComfyUI has it")
_NEXT = ("evaluations", "a step's second evaluation that lies on the next boundary is counted in the next step")
_ONLY_THEN = ("off_grid", "with eta = 1 its second evaluation lies on the next boundary, otherwise between")
_CLOSE = ("edges", "it divides by the distance of levels, however close they are")
_OWN = "it lays out its own steps between the ends"
_ROUNDED = ("noise", "it draws noise with eta = 0 too, of which the rounding of its levels leaves about 3e-4")
_DECLARED: dict[str, dict[str, Any]] = {
    "euler": {"order": 1, "exemptions": (_UNGUARDED,)},
    "heun": {"order": 2, "evaluations": 2, "exemptions": (_UNGUARDED, _FLOW, _NEXT)},
    "dpm_2": {"order": 2, "evaluations": 2, "off_grid": True, "exemptions": (_UNGUARDED, _FLOW)},
    "lms": {"order": 4, "exemptions": (_UNGUARDED, _FLOW)},
    "dpmpp_2m": {"order": 2, "exemptions": (_UNGUARDED, _FLOW)},
    "dpm_fast": {
        "order": 3,
        "off_grid": True,
        "processes": _SPREADING,
        "exemptions": (_UNGUARDED, _CLOSE, _ROUNDED, ("evaluations", _OWN), ("convergence", _OWN)),
    },
    "dpm_adaptive": {
        "order": 3,
        "evaluations": 0,
        "adaptive": True,
        "off_grid": True,
        "processes": _SPREADING,
        "exemptions": (_ROUNDED, ("one_answer", "its levels are float32")),
    },
    "euler_ancestral": {"exemptions": (_UNGUARDED,)},
    "dpm_2_ancestral": {"evaluations": 2, "off_grid": True, "exemptions": (_UNGUARDED, _NEXT, _ONLY_THEN)},
    "dpmpp_2s_ancestral": {"evaluations": 2, "off_grid": True, "exemptions": (_UNGUARDED, _NEXT, _ONLY_THEN)},
    "dpmpp_sde": {"evaluations": 2, "off_grid": True},
    "dpmpp_2m_sde": {"exemptions": (_UNGUARDED, _CLOSE)},
    "dpmpp_3m_sde": {"exemptions": (_UNGUARDED, _CLOSE)},
}


def records() -> Iterator[SchedulerSpec]:
    """One for each sampler."""
    for name, declared in _DECLARED.items():
        fields: dict[str, Any] = {} if "order" in declared else {"stochastic": True, "processes": _SPREADING}
        fields |= {**declared, "exemptions": (_NO_SYNC, *declared.get("exemptions", ()))}
        yield SchedulerSpec(
            name=name.replace("_", "-"),
            target=f"latentry_bridge_k_diffusion.samplers:sample_{name}",
            summary=f"k-diffusion's own sample_{name}",
            citation="k-diffusion, k_diffusion/sampling.py",
            sigmas=(
                SigmaPreference("latentry:karras", processes=_SPREADING),
                SigmaPreference("latentry:trailing"),
            ),
            unlisted=True,
            **fields,
        )
