"""Peak memory and time of attention backends, each measured in a process of its own.

By default one head of 64 at 4,096 and 16,384 tokens in float32 on the CPU: the memory of every score at once is
quadratic in the tokens, that of slices linear. ``--models`` takes the largest layers of model families instead; on CUDA
that is what to look at::

    python benchmarks/attention.py
    python benchmarks/attention.py --models --device cuda --dtype float16

It needs ``latentry`` and the backends' distributions; a backend that cannot serve is left out with its reason.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

BACKENDS: dict[str, tuple[str, dict[str, Any]]] = {
    "eager": ("eager", {}),
    "sdpa": ("sdpa", {}),
    "sdpa, math": ("sdpa", {"kernel": "math"}),
    "sliced": ("sliced", {}),
    "sliced, 256 rows": ("sliced", {"size": 256}),
}
ON_CUDA: dict[str, tuple[str, dict[str, Any]]] = {
    **{f"sdpa, {kernel}": ("sdpa", {"kernel": kernel}) for kernel in ("flash", "efficient", "cudnn")},
    **{name: (name, {}) for name in ("flash", "xformers", "sage", "flex")},
}
TOKENS = {f"{tokens:,} tokens": (1, 1, tokens, 64) for tokens in (4096, 16384)}
MODELS = {
    "SD 1.5, 512×512": (2, 8, 4096, 40),
    "SDXL, 1024×1024": (2, 10, 4096, 64),
    "SD3.5 Large, 1024×1024": (2, 38, 4096 + 333, 64),
    "FLUX.1, 1024×1024": (1, 24, 4096 + 512, 128),
}
"""(batch, heads, tokens, head size) of the largest layer; the first two with guidance, so with two in the batch."""


def main() -> None:
    """Measures what was asked for, and prints it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--models", action="store_true", help="the largest layers of model families")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--repeats", type=int, default=3, help="calls after the first; the median counts")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        print(json.dumps(measure(**json.loads(given.child))))
        return
    rows = []
    backends = BACKENDS | (ON_CUDA if given.device.startswith("cuda") else {})
    for label, shape in (MODELS if given.models else TOKENS).items():
        for name, (backend, options) in backends.items():
            job = {"backend": backend, "options": options, "shape": shape, "repeats": given.repeats}
            job |= {"device": given.device, "dtype": given.dtype}
            rows.append({"layer": label, "backend": name, **_child(job)})
    print(json.dumps(rows, indent=2) if given.json else table(rows))


def _child(job: dict[str, Any]) -> dict[str, Any]:
    command = [sys.executable, str(Path(__file__)), "--child", json.dumps(job)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"reason": done.stderr.strip().splitlines()[-1]}
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def measure(
    backend: str, options: dict[str, Any], shape: list[int], device: str, dtype: str, repeats: int
) -> dict[str, Any]:
    """Bytes beyond the inputs at the peak, and seconds of a call."""
    import torch

    from latentry import PluginHost
    from latentry.testing import EagerAttention

    kind = getattr(torch, dtype)
    made = EagerAttention(kind) if backend == "eager" else PluginHost().attention_backends.create(backend, **options)
    if (reason := made.probe()) is not None:
        return {"reason": reason}
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(shape, generator=generator).to(device, kind) for _ in range(3))
    with torch.inference_mode():
        made.attend(*(tensor[:, :, :64] for tensor in (q, k, v)))  # libraries are loaded, kernels are found
        peak = Peak(torch, device)
        seconds = [_timed(torch, made, q, k, v) for _ in range(repeats + 1)]
    later = seconds[1:] or seconds
    return {"bytes": peak.beyond(), "seconds": statistics.median(later)}


def _timed(torch: Any, backend: Any, *tensors: Any) -> float:
    begin = time.perf_counter()
    backend.attend(*tensors)
    if tensors[0].is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - begin


class Peak:
    """The most memory in use from here on, beyond what is in use now."""

    def __init__(self, torch: Any, device: str) -> None:
        self._cuda = torch.cuda if device.startswith("cuda") else None
        if self._cuda:
            self._cuda.reset_peak_memory_stats()
        else:
            Path("/proc/self/clear_refs").write_text("5")  # Linux: the high-water mark starts anew
        self._before = self._now()

    def beyond(self) -> int:
        """Bytes."""
        return self._now() - self._before

    def _now(self) -> int:
        if self._cuda:
            return int(self._cuda.max_memory_allocated())
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown."""
    lines = ["| layer | backend | peak beyond the inputs | time |", "|---|---|---|---|"]
    for row in rows:
        if "reason" in row:
            cells = row["reason"], ""
        else:
            cells = f"{row['bytes'] / 2**20:,.0f} MiB", f"{row['seconds'] * 1000:,.0f} ms"
        lines.append(f"| {row['layer']} | {row['backend']} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
