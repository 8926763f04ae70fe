"""The first picture: from the start of a process to its end with the PNG written, by our command and by a script."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from _paired import Paired

from latentry import PluginHost

STEPS = 25
PROMPT = "a red circle on a white background"
SCRIPT = """
import sys
import torch
from diffusers import DDIMScheduler, DiffusionPipeline

folder, prompt, steps, guidance, size, file = sys.argv[1:]
pipeline = DiffusionPipeline.from_pretrained(folder, local_files_only=True, torch_dtype=torch.float32)
pipeline.set_progress_bar_config(disable=True)
pipeline.scheduler = DDIMScheduler.from_config(pipeline.scheduler.config, clip_sample=False, set_alpha_to_one=False)
picture = pipeline(
    prompt,
    num_inference_steps=int(steps),
    guidance_scale=float(guidance),
    height=int(size),
    width=int(size),
    generator=torch.Generator().manual_seed(7),
).images[0]
picture.save(file)
"""
"""What someone writes with diffusers for the same picture."""


def measure(name: str, rounds: int, threads: int) -> dict[str, Any]:
    """A row with the times of both, each in a process of its own, in turn.

    Args:
        name: of a shipped Stable Diffusion.
        rounds: pairs of processes, after one that warms the disk's cache.
        threads: of the processes.
    """
    host = PluginHost()
    spec, folder = host.checkpoints[name], str(host.checkpoints.load(name)())
    drawn = [str(each) for each in (STEPS, spec.guidance, spec.size)]
    with tempfile.TemporaryDirectory() as temporary:
        png = [str(Path(temporary) / f"{side}.png") for side in ("ours", "theirs")]
        ours = ["latentry", "generate", PROMPT, "--model", name, "--steps", str(STEPS), "--seed", "7"]
        ours = [str(Path(sys.executable).with_name(ours[0])), *ours[1:], "--overwrite", "--quiet", "--output", png[0]]
        theirs = [sys.executable, "-c", SCRIPT, folder, PROMPT, *drawn, png[1]]
        return {"name": name, **_paired(ours, theirs, rounds, threads).row()}


def _paired(ours: Sequence[str], theirs: Sequence[str], rounds: int, threads: int) -> Paired:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": str(threads)}
    found: tuple[list[tuple[float, float]], ...] = ([], [])
    for number in range(rounds + 1):
        for side in (0, 1) if number % 2 else (1, 0):
            found[side].append(_timed((ours, theirs)[side], environment))
    wall, cpu = ([tuple(pair[i] for pair in side[1:]) for side in found] for i in (0, 1))
    return Paired(wall[0], wall[1], cpu[0], cpu[1])


def _timed(command: Sequence[str], environment: Mapping[str, str]) -> tuple[float, float]:
    """Wall and processor time of a process."""
    before, begin = _processor_time(), time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    end, after = time.perf_counter(), _processor_time()
    if done.returncode:
        raise SystemExit(f"{command[0]} failed:\n{done.stderr}")
    return end - begin, after - before


def _processor_time() -> float:
    """Of all processes that have ended, in seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
