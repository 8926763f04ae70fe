"""Full-size denoisers with random bfloat16 weights on one GPU: pictures a second beside diffusers, eager and compiled.

Made to run whole in ten minutes on one GPU of 48 GB or more; nothing is downloaded, weights are made on the device::

    python benchmarks/gpu.py --json gpu.json
    python benchmarks/gpu.py --size sd15 --size flux1 --backends sdpa,flash
    python benchmarks/gpu.py --size tiny --device cpu

For each size: the time of an evaluation with guidance (FLUX.1: one row) against the time that its matrix products
take at the speed of one large product on this device, by torch's own count of operations; pictures a second in 20 steps
(without text encoders and autoencoder) of Latentry's loop with each attention backend, and of diffusers' scheduler
around its own network; both again with the repeated blocks compiled; and peak memory. What a backend or the compiler
refuses is a row with the reason. ``--offload`` adds the same with blocks that wait in main memory, copied as they are
needed and ahead (``prefetch``): whether copies hide behind the work, and what is on the device.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from latentry import Flow, MemoryPolicy, Prediction, VariancePreserving, sample
from latentry.attention import attention_backend
from latentry.models import offloaded
from latentry_diffusers.attention import Routing

STEPS, TEXT = 20, {"sd15": 77, "sdxl": 77, "sd35-large": 333, "flux1": 512, "tiny": 7}
SIZES = {
    "sd15": ("latentry_sd.variants", "UNETS", "sd15", "unet", 64),
    "sdxl": ("latentry_sdxl.variants", "UNETS", "base", "unet", 128),
    "sd35-large": ("latentry_sd3.variants", "TRANSFORMERS", "sd35-large", "transformer", 128),
    "flux1": ("latentry_flux.variants", "TRANSFORMERS", "dev", "transformer", 128),
}
"""Module and name of the published configurations, which of them, the part, and the side of the latents."""
TINY = {
    "sample_size": 8,
    "block_out_channels": (32, 64),
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    "cross_attention_dim": 32,
    "attention_head_dim": 8,
}
DTYPE = torch.bfloat16


@dataclass(frozen=True)
class Subject:
    """One denoiser.

    Attributes:
        size: its name here.
        part: ``unet`` or ``transformer``.
        config: of diffusers' class.
        side: of the latents.
        rows: that an evaluation has.
    """

    size: str
    part: str
    config: dict[str, Any]
    side: int

    @property
    def flux(self) -> bool:
        return self.size == "flux1"

    @property
    def rows(self) -> int:
        return 1 if self.flux else 2

    @property
    def channels(self) -> int:
        return 16 if self.flux else int(self.config.get("in_channels", 4))

    def build(self) -> Any:
        """The network, on torch's default device."""
        import diffusers

        flow = "FluxTransformer2DModel" if self.flux else "SD3Transformer2DModel"
        return getattr(diffusers, "UNet2DConditionModel" if self.part == "unet" else flow)(**self.config)

    def told(self, device: torch.device) -> dict[str, Any]:
        """All that the network is given besides the samples and the time."""
        make = partial(torch.randn, device=device, dtype=DTYPE)
        width = self.config.get("cross_attention_dim") or self.config.get("joint_attention_dim")
        told: dict[str, Any] = {"encoder_hidden_states": make(self.rows, TEXT[self.size], width), "return_dict": False}
        if pooled := self.config.get("pooled_projection_dim"):
            told["pooled_projections"] = make(self.rows, pooled)
        if self.config.get("addition_embed_type") == "text_time":
            told["added_cond_kwargs"] = {"text_embeds": make(self.rows, 1280), "time_ids": make(self.rows, 6)}
        if self.flux:
            tokens = self.side // 2
            told["txt_ids"] = torch.zeros(TEXT[self.size], 3, device=device)
            told["img_ids"] = torch.ones(tokens * tokens, 3, device=device)
            told["guidance"] = torch.full((1,), 3.5, device=device)
        return told

    def call(self, network: Any, told: dict[str, Any], x: Tensor, timestep: float | Tensor) -> Tensor:
        """The guided output for samples (1, channels, side, side)."""
        if self.flux:
            tokens = torch.nn.functional.pixel_unshuffle(x.to(DTYPE), 2).flatten(2).transpose(1, 2)
            times = torch.as_tensor(timestep, device=x.device, dtype=DTYPE).reshape(1) / 1000
            output = network(tokens, timestep=times, **told)[0].transpose(1, 2).unflatten(2, (self.side // 2,) * 2)
            return torch.nn.functional.pixel_shuffle(output, 2)
        times = torch.as_tensor(timestep, device=x.device, dtype=torch.float32).expand(2)
        uncond, cond = network(torch.cat([x, x]).to(DTYPE), timestep=times, **told)[0].chunk(2)
        return torch.lerp(uncond, cond, 5.0)


def subject(size: str) -> Subject:
    """One of ``SIZES``, or ``tiny``."""
    if size == "tiny":
        return Subject(size, "unet", TINY, 8)
    module, table, name, part, side = SIZES[size]
    return Subject(size, part, getattr(import_module(module), table)[name], side)


def filled(network: nn.Module, device: torch.device) -> Any:
    """A network of the meta device with random weights on a device."""
    network = network.to(DTYPE).to_empty(device=device).eval().requires_grad_(False)
    for parameter in network.parameters():
        parameter.normal_(std=0.02)
    for buffer in network.buffers():  # position embeddings
        buffer.normal_(std=0.02) if buffer.is_floating_point() else buffer.zero_()
    return network


def wait(device: torch.device) -> None:
    """Waits for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds(work: Callable[[], object], device: torch.device, repeats: int) -> float:
    """The least time of several runs, after one that warms up."""
    times = []
    for _ in range(repeats + 1):
        wait(device)
        begun = time.perf_counter()
        work()
        wait(device)
        times.append(time.perf_counter() - begun)
    return min(times[1:])


def products_per_second(device: torch.device, side: int) -> float:
    """Operations a second of one large matrix product."""
    a, b = (torch.randn(side, side, device=device, dtype=DTYPE) for _ in range(2))
    return 2 * side**3 / seconds(lambda: a @ b, device, 10)


def operations(which: Subject) -> int:
    """Of the products of one evaluation, counted on the meta device."""
    from torch.utils.flop_counter import FlopCounterMode

    meta = torch.device("meta")
    with meta:
        network = which.build().to(DTYPE)
    x = torch.empty(1, which.channels, which.side, which.side, device=meta)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        which.call(network, which.told(meta), x, torch.empty((), device=meta))
    return counter.get_total_flops()


def ours(which: Subject, network: Any, told: dict[str, Any], x: Tensor) -> Tensor:
    """Latentry's loop: UniPC in 20 steps."""
    flow = which.part == "transformer"
    with torch.inference_mode():
        return sample(
            lambda given, timestep: which.call(network, told, given, timestep),
            x,
            scheduler="unipc",
            steps=STEPS,
            process=Flow() if flow else VariancePreserving.from_betas(),
            prediction=Prediction.FLOW if flow else Prediction.EPSILON,
        )


def theirs(which: Subject, network: Any, told: dict[str, Any], x: Tensor) -> Tensor:
    """diffusers' scheduler of the same name around the same network."""
    from diffusers import UniPCMultistepScheduler

    flow = {"prediction_type": "flow_prediction", "use_flow_sigmas": True} if which.part == "transformer" else {}
    scheduler = UniPCMultistepScheduler(**flow)
    scheduler.set_timesteps(STEPS, device=x.device)
    with torch.no_grad():
        for t in scheduler.timesteps:
            x = scheduler.step(which.call(network, told, x, t), t, x, return_dict=False)[0]
    return x


def rows(
    which: Subject, device: torch.device, backends: list[str], repeats: int, *, compiled: bool
) -> Iterator[dict[str, Any]]:
    """One row for each way to draw with a denoiser."""
    with torch.device("meta"):
        network = which.build()
    network, told = filled(network, device), which.told(device)
    x = torch.randn(1, which.channels, which.side, which.side, device=device)
    ways: list[tuple[str, Callable[..., Tensor], str | None]] = [("diffusers", theirs, None)]
    ways += [(f"latentry, {name}", ours, name) for name in backends]
    for how in ("eager", "compiled") if compiled else ("eager",):
        if how == "compiled":
            _compile(network)
        for name, loop, backend in ways:
            row = {"size": which.size, "way": f"{name}, {how}"}
            try:
                yield {**row, **_timed(which, network, told, x, loop, backend, device, repeats)}
            except Exception as error:  # a backend or the compiler that cannot is a finding
                yield {**row, "failed": f"{type(error).__name__}: {str(error).partition(chr(10))[0][:120]}"}


def _timed(
    which: Subject,
    network: Any,
    told: dict[str, Any],
    x: Tensor,
    loop: Callable[..., Tensor],
    backend: str | None,
    device: torch.device,
    repeats: int,
) -> dict[str, float]:
    routing = Routing({which.part: network})
    served = None if backend is None else attention_backend(backend, device=device, dtype=DTYPE)
    with routing.set(served, None), torch.no_grad():
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        step = seconds(lambda: which.call(network, told, x, 500.0), device, repeats)
        picture = seconds(lambda: loop(which, network, told, x), device, 1)
        peak = torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else math.nan
    return {"evaluation_s": step, "pictures_per_s": 1 / picture, "peak_gib": peak}


def offload_rows(which: Subject, device: torch.device, repeats: int) -> Iterator[dict[str, Any]]:
    """One row for blocks that are copied as they are needed, and one for copies ahead; weights are in main memory."""
    with torch.device("meta"):
        network = which.build()
    network, told = filled(network, device).to("cpu"), which.told(device)
    x = torch.randn(1, which.channels, which.side, which.side, device=device)
    owner = SimpleNamespace(networks={which.part: network})
    for prefetch in (False, True):
        policy = MemoryPolicy(offload="blocks", prefetch=prefetch)
        row = {"size": which.size, "way": f"latentry, offload blocks{', prefetch' if prefetch else ''}"}
        try:
            with offloaded(owner, device=device, policy=policy):  # the first evaluations pin memory and learn the order
                yield {**row, **_timed(which, network, told, x, ours, None, device, repeats)}
        except Exception as error:
            yield {**row, "failed": f"{type(error).__name__}: {str(error).partition(chr(10))[0][:120]}"}


def _compile(network: Any) -> None:
    if network._repeated_blocks:
        network.compile_repeated_blocks()
    else:
        network.compile()


def main() -> None:
    """Prints a table of every size."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--size", action="append", choices=[*SIZES, "tiny"], help="all published ones by default")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--backends", default="native,sdpa", help="attention backends, by commas")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--offload", action="store_true", help="blocks in main memory as well, some minutes more")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    device = torch.device(given.device)
    speed = products_per_second(device, 8192 if device.type == "cuda" else 256)
    print(f"one large product: {speed / 1e12:.1f} TFLOP/s in bfloat16, torch {torch.__version__}\n")
    print("| size | way | evaluation, ms | of its products | pictures/s, 20 steps | peak, GiB |")
    print(f"|{'---|' * 6}")
    found: list[dict[str, Any]] = []
    for size in given.size or list(SIZES):
        which = subject(size)
        floor = operations(which) / speed
        found_here = rows(which, device, given.backends.split(","), given.repeats, compiled=not given.no_compile)
        for row in chain(found_here, offload_rows(which, device, given.repeats) if given.offload else ()):
            found.append({**row, "floor_s": floor})
            print(_line(found[-1]), flush=True)
        if device.type == "cuda":
            torch.cuda.empty_cache()
    if given.json:
        given.json.write_text(json.dumps({"products_per_s": speed, "rows": found}, indent=2) + "\n", encoding="utf-8")


def _line(row: dict[str, Any]) -> str:
    if "failed" in row:
        return f"| {row['size']} | {row['way']} | {row['failed']} | | | |"
    times = f"{1000 * row['evaluation_s']:.1f} | {row['evaluation_s'] / row['floor_s']:.2f}"
    return f"| {row['size']} | {row['way']} | {times} | {row['pictures_per_s']:.2f} | {row['peak_gib']:.1f} |"


if __name__ == "__main__":
    main()
