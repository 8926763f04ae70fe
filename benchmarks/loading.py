"""Peak memory and time of loading a checkpoint the size of Stable Diffusion 1.5, beside diffusers' own ways.

It makes the checkpoint, of random float16 weights, in a temporary folder (4.3 GB for the folder and the single file),
and loads it in a process of its own each time, from the page cache::

    python benchmarks/loading.py
    python benchmarks/loading.py --dtype float32 --device cuda

Memory is the highest resident size above that of the process when everything is imported: pages of the memory-mapped
file count once they are touched. ``loaded`` ends when the networks are there, ``used`` when every weight has been read
once, as the first step does. It needs ``latentry-sd``, diffusers and transformers; Linux.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

WAYS = {
    "latentry, folder": ("folder", "latentry"),
    "diffusers, from_pretrained": ("folder", "diffusers"),
    "latentry, single file": ("single", "latentry"),
    "diffusers, from_single_file": ("single", "diffusers"),
}
INDEX = {
    "feature_extractor": [None, None],
    "requires_safety_checker": False,
    "safety_checker": [None, None],
    "scheduler": ["diffusers", "DDIMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}


def main() -> None:
    """Measures every way, and prints a table or JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--dtype", default="float16")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=3, help="the median counts")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child and given.child[0] == "write":
        write(Path(given.child[2]))
        return
    if given.child:
        print(json.dumps(measure(*given.child, given.dtype, given.device)))
        return
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in WAYS}
    with tempfile.TemporaryDirectory() as temporary:
        subprocess.run([sys.executable, __file__, "--child", "write", "", temporary], check=True)
        for _ in range(given.repeats + 1):  # in turn, so that what else the machine does meets all alike
            for name, (form, way) in WAYS.items():
                runs[name].append(_run(way, form, Path(temporary), given))
    rows: list[dict[str, Any]] = []
    for name, found in runs.items():  # the first of each warms caches
        rows.append({"way": name, **{key: statistics.median(run[key] for run in found[1:]) for key in found[0]}})
    if given.json:
        print(json.dumps({"dtype": given.dtype, "device": given.device, "rows": rows}, indent=2))
        return
    print(f"{'':<30}{'loaded':>10}{'peak':>10}{'used':>10}{'peak':>10}")
    for row in rows:
        cells = (
            f"{row['loaded_s']:>8.2f} s{row['loaded_mb']:>7,.0f} MB{row['used_s']:>8.2f} s{row['used_mb']:>7,.0f} MB"
        )
        print(f"{row['way']:<30}{cells}")


def _run(way: str, form: str, checkpoint: Path, given: argparse.Namespace) -> dict[str, float]:
    words = [sys.executable, __file__, "--child", way, form, str(checkpoint)]
    words += ["--dtype", given.dtype, "--device", given.device]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def measure(way: str, form: str, checkpoint: str, dtype: str, device: str) -> dict[str, float]:
    """Loads once: seconds and megabytes, when loaded and when every weight has been used."""
    import torch

    load = {"latentry": _latentry, "diffusers": _diffusers}[way]
    load_now = load(Path(checkpoint), form, getattr(torch, dtype), torch.device(device))
    before, start = _resident("VmRSS"), time.perf_counter()
    networks = load_now()
    if device != "cpu":
        torch.cuda.synchronize()
    loaded, peak = time.perf_counter() - start, _resident("VmHWM")
    with torch.no_grad():
        for network in networks:
            for tensor in network.state_dict().values():
                tensor.reshape(-1)[:: 2048 // max(tensor.element_size(), 1)].float().sum()  # touches every page
    used = time.perf_counter() - start
    return {
        "loaded_s": loaded,
        "loaded_mb": (peak - before) / 1024,
        "used_s": used,
        "used_mb": (_resident("VmHWM") - before) / 1024,
    }


def _latentry(checkpoint: Path, form: str, dtype: Any, device: Any) -> Callable[[], list[Any]]:
    import diffusers.models  # noqa: F401
    from diffusers import AutoencoderKL, UNet2DConditionModel  # noqa: F401
    from transformers import CLIPTextModel  # noqa: F401

    from latentry import ModelFiles
    from latentry_sd.checkpoint import open_checkpoint
    from latentry_sd.model import StableDiffusion  # noqa: F401

    path = checkpoint if form == "folder" else checkpoint / "single.safetensors"
    files = ModelFiles(path, (("tokenizer", checkpoint),))
    return lambda: list(open_checkpoint(files, "sd15").load(device, dtype).networks.values())


def _diffusers(checkpoint: Path, form: str, dtype: Any, device: Any) -> Callable[[], list[Any]]:
    from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel  # noqa: F401
    from transformers import CLIPTextModel, CLIPTokenizer  # noqa: F401

    def load() -> list[Any]:
        if form == "folder":
            pipeline = StableDiffusionPipeline.from_pretrained(checkpoint, torch_dtype=dtype, local_files_only=True)
        else:
            single = str(checkpoint / "single.safetensors")
            pipeline = StableDiffusionPipeline.from_single_file(
                single, config=str(checkpoint), local_files_only=True, torch_dtype=dtype
            )
        pipeline.to(device)
        return [pipeline.unet, pipeline.vae, pipeline.text_encoder]

    return load


def _resident(key: str) -> int:
    """Kilobytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1])
    raise RuntimeError("this system does not tell the size of a process")


def write(folder: Path) -> None:
    """A diffusers folder of random weights, and the same as ``single.safetensors`` in the original layout."""
    import torch
    from safetensors.torch import save_file

    from latentry_diffusers.bundle.networks import common_name
    from latentry_diffusers.layouts import backward
    from latentry_diffusers.layouts.clip import clip_pairs
    from latentry_diffusers.layouts.unet import unet_pairs
    from latentry_diffusers.layouts.vae import vae_pairs
    from latentry_sd.variants import build, published

    places: dict[str, tuple[str, Any]] = {
        "unet": ("model.diffusion_model.", unet_pairs),
        "vae": ("first_stage_model.", vae_pairs),
        "text_encoder": ("cond_stage_model.transformer.", clip_pairs),
    }
    single = {}
    with torch.device("meta"):
        networks = build("sd15")
    for part, network in networks.items():
        tensors = {name: torch.randn(empty.shape).half() for name, empty in network.state_dict().items()}
        (network.save_config if part != "text_encoder" else network.config.save_pretrained)(folder / part)
        stem = "model" if part == "text_encoder" else "diffusion_pytorch_model"
        save_file(tensors, folder / part / f"{stem}.safetensors", metadata={"format": "pt"})
        common = {common_name(name): tensor for name, tensor in tensors.items()}
        prefix, layout = places[part]
        for pair in layout(published("sd15")[part]):
            found = {name: common[common_name(name)] for name in pair.diffusers}
            single[f"{prefix}{pair.original}"] = backward(pair, found).contiguous()
    save_file(single, folder / "single.safetensors", metadata={"format": "pt"})
    _write_rest(folder)


def _write_rest(folder: Path) -> None:
    from diffusers import DDIMScheduler
    from transformers import CLIPTokenizer

    words = {"<|startoftext|>": 0, "<|endoftext|>": 1, "a": 2, "a</w>": 3}
    CLIPTokenizer(vocab=words, merges=[], model_max_length=77).save_pretrained(folder / "tokenizer")
    DDIMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012).save_pretrained(
        folder / "scheduler"
    )
    index = {"_class_name": "StableDiffusionPipeline", "_diffusers_version": "0.42.1", **INDEX}
    (folder / "model_index.json").write_text(json.dumps(index))


if __name__ == "__main__":
    main()
