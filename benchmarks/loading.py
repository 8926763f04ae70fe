"""Peak memory and time of loading a checkpoint the size of Stable Diffusion 1.5 or SDXL, beside diffusers' own ways.

It makes the checkpoint, of random weights, in a temporary folder (SD 1.5 in float16: 4.3 GB for the folder and the
single file; SDXL 7 GB, the folder alone), and loads it in a process of its own each time, from the page cache::

    python benchmarks/loading.py
    python benchmarks/loading.py --stored float32 --dtype float32
    python benchmarks/loading.py --dtype float32 --device cuda
    python benchmarks/loading.py --size sdxl --repeats 1 --checkpoint /tmp/sdxl    # written there once, and kept

Memory is the highest resident size above that of the process when everything is imported: pages of the memory-mapped
file count once they are touched. ``loaded`` ends when the networks are there, ``used`` when every weight has been read
once and the denoiser has been evaluated twice at 64 × 64 pixels. Seconds are by the clock; on a busy machine the
processor's are what to compare. It needs ``latentry-sd``, ``latentry-sdxl``, diffusers and transformers; Linux.
"""

from __future__ import annotations

import argparse
import importlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

WAYS = {
    "latentry, folder": ("folder", "latentry"),
    "diffusers, from_pretrained": ("folder", "diffusers"),
    "latentry, single file": ("single", "latentry"),
    "diffusers, from_single_file": ("single", "diffusers"),
}
SIZES = {"sd15": ("latentry_sd", "sd15"), "sdxl": ("latentry_sdxl", "base")}
"""The package of the family and the variant."""
ENDS, KINDS = ("loaded", "used"), (("s", 2, "s"), ("cpu_s", 2, "s"), ("mb", 0, "MB"))
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
    given = parser().parse_args()
    if given.child and given.child[0] == "write":
        write(Path(given.child[2]), given.size, getattr(importlib.import_module("torch"), given.stored))
        return
    if given.child:
        print(json.dumps(measure(*given.child, given.dtype, given.device, given.size)))
        return
    found = measured(given)
    print(json.dumps(found, indent=2) if given.json else table(found))


def parser() -> argparse.ArgumentParser:
    """Of what can be asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--size", default="sd15", choices=SIZES)
    parser.add_argument("--stored", default="float16", help="dtype of the files")
    parser.add_argument("--dtype", default="float16", help="to load in")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=3, help="the median counts")
    parser.add_argument("--checkpoint", type=Path, help="folder to write it to, or where it was written")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    return parser


def measured(given: argparse.Namespace) -> dict[str, Any]:
    """What was asked for, and a row for each way: medians of the runs after the first."""
    ways = {name: way for name, way in WAYS.items() if given.size == "sd15" or way[0] == "folder"}
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as temporary:
        checkpoint = given.checkpoint or Path(temporary)
        if not (checkpoint / "model_index.json").exists():  # which is written last
            words = [sys.executable, __file__, "--child", "write", "", str(checkpoint)]
            subprocess.run([*words, "--size", given.size, "--stored", given.stored], check=True)
        for _ in range(given.repeats + 1):  # in turn, so that what else the machine does meets all alike
            for name, (form, way) in ways.items():
                runs[name].append(_run(way, form, checkpoint, given))
    rows: list[dict[str, Any]] = []
    for name, found in runs.items():  # the first of each warms caches
        rows.append({"way": name, **{key: statistics.median(run[key] for run in found[1:]) for key in found[0]}})
    about = {name: getattr(given, name) for name in ("size", "stored", "dtype", "device")}
    return {**about, "rows": rows}


def table(found: Mapping[str, Any]) -> str:
    """The figures as Markdown."""
    about = f"{found['size']}, {found['stored']} files run in {found['dtype']}"
    heads = [about, *("loaded", "processor", "peak") * 2]
    heads[4] = "every weight used, two evaluations"
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for row in found["rows"]:
        cells = [f"{row[f'{end}_{kind}']:,.{digits}f} {unit}" for end in ENDS for kind, digits, unit in KINDS]
        lines.append(f"| {' | '.join([row['way'], *cells])} |")
    return "\n".join(lines)


def _run(way: str, form: str, checkpoint: Path, given: argparse.Namespace) -> dict[str, float]:
    words = [sys.executable, __file__, "--child", way, form, str(checkpoint)]
    words += ["--dtype", given.dtype, "--device", given.device, "--size", given.size]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def measure(way: str, form: str, checkpoint: str, dtype: str, device: str, size: str) -> dict[str, float]:
    """Loads once: seconds and megabytes, when loaded and when every weight has been used."""
    import torch

    load = {"latentry": _latentry, "diffusers": _diffusers}[way]
    load_now = load(Path(checkpoint), form, getattr(torch, dtype), torch.device(device), size)
    before, start, begun = _resident("VmRSS"), time.perf_counter(), time.process_time()
    networks = load_now()
    if device != "cpu":
        torch.cuda.synchronize()
    loaded, loaded_cpu, peak = time.perf_counter() - start, time.process_time() - begun, _resident("VmHWM")
    with torch.no_grad():
        for network in networks:
            for tensor in network.state_dict().values():
                tensor.reshape(-1)[:: 2048 // max(tensor.element_size(), 1)].float().sum()  # touches every page
        for _ in range(2):
            _evaluate(networks[0])
    used = time.perf_counter() - start
    return {
        "loaded_s": loaded,
        "loaded_cpu_s": loaded_cpu,
        "loaded_mb": (peak - before) / 1024,
        "used_s": used,
        "used_cpu_s": time.process_time() - begun,
        "used_mb": (_resident("VmHWM") - before) / 1024,
    }


def _evaluate(unet: Any) -> None:
    """Evaluates a denoiser for one picture of 64 × 64 pixels."""
    import torch

    config, like = unet.config, unet.conv_in.weight
    added = None
    if config.addition_embed_type == "text_time":
        pooled = config.projection_class_embeddings_input_dim - 6 * config.addition_time_embed_dim
        added = {"text_embeds": like.new_zeros(1, pooled), "time_ids": like.new_zeros(1, 6)}
    states = like.new_zeros(1, 77, config.cross_attention_dim)
    unet(
        like.new_ones(1, config.in_channels, 8, 8),
        torch.tensor(500, device=like.device),
        states,
        added_cond_kwargs=added,
    )


def _latentry(checkpoint: Path, form: str, dtype: Any, device: Any, size: str) -> Callable[[], list[Any]]:
    import diffusers.models  # noqa: F401
    from diffusers import AutoencoderKL, UNet2DConditionModel  # noqa: F401
    from transformers import CLIPTextModel, CLIPTextModelWithProjection  # noqa: F401

    from latentry import ModelFiles

    package, variant = SIZES[size]
    importlib.import_module(f"{package}.model")
    open_checkpoint = importlib.import_module(f"{package}.checkpoint").open_checkpoint
    path = checkpoint if form == "folder" else checkpoint / "single.safetensors"
    files = ModelFiles(path, () if form == "folder" else (("tokenizer", checkpoint),))

    def load() -> list[Any]:
        networks = open_checkpoint(files, variant).load(device, dtype).networks
        return [networks["unet"], *(network for part, network in networks.items() if part != "unet")]

    return load


def _diffusers(checkpoint: Path, form: str, dtype: Any, device: Any, size: str) -> Callable[[], list[Any]]:
    from diffusers import AutoencoderKL, UNet2DConditionModel  # noqa: F401
    from diffusers import StableDiffusionPipeline as Sd
    from diffusers import StableDiffusionXLPipeline as Xl
    from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer  # noqa: F401

    made: Any = Xl if size == "sdxl" else Sd

    def load() -> list[Any]:
        if form == "folder":
            pipeline = made.from_pretrained(checkpoint, torch_dtype=dtype, local_files_only=True)
        else:
            single = str(checkpoint / "single.safetensors")
            pipeline = made.from_single_file(single, config=str(checkpoint), local_files_only=True, torch_dtype=dtype)
        pipeline.to(device)
        encoders = [pipeline.text_encoder, *([pipeline.text_encoder_2] if size == "sdxl" else [])]
        return [pipeline.unet, pipeline.vae, *encoders]

    return load


def _resident(key: str) -> int:
    """Kilobytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1])
    raise RuntimeError("this system does not tell the size of a process")


def write(folder: Path, size: str, dtype: Any) -> None:
    """A diffusers folder of random weights; of SD 1.5 the same as ``single.safetensors`` in the original layout."""
    import torch
    from safetensors.torch import save_file

    package, variant = SIZES[size]
    with torch.device("meta"):
        networks = importlib.import_module(f"{package}.variants").build(variant)
    noise = torch.randn(1 << 20).mul(0.02).to(dtype)  # repeated: making billions anew takes minutes
    single: dict[str, Any] = {}
    for part, network in networks.items():
        tensors = {name: _random(empty.shape, noise) for name, empty in network.state_dict().items()}
        saves_config = hasattr(network, "save_config")
        (network.save_config if saves_config else network.config.save_pretrained)(folder / part)
        stem = "diffusion_pytorch_model" if saves_config else "model"
        save_file(tensors, folder / part / f"{stem}.safetensors", metadata={"format": "pt"})
        if size == "sd15":
            single |= _original(part, tensors)
    if single:
        save_file(single, folder / "single.safetensors", metadata={"format": "pt"})
    _write_rest(folder, size)


def _random(shape: Any, noise: Any) -> Any:
    count = shape.numel()
    return noise.repeat(-(-count // len(noise)))[:count].reshape(shape).clone()


def _original(part: str, tensors: dict[str, Any]) -> dict[str, Any]:
    """The tensors of a part in the layout of single files."""
    from latentry_diffusers.bundle.networks import common_name
    from latentry_diffusers.layouts import backward
    from latentry_diffusers.layouts.clip import clip_pairs
    from latentry_diffusers.layouts.unet import unet_pairs
    from latentry_diffusers.layouts.vae import vae_pairs
    from latentry_sd.variants import published

    places: dict[str, tuple[str, Any]] = {
        "unet": ("model.diffusion_model.", unet_pairs),
        "vae": ("first_stage_model.", vae_pairs),
        "text_encoder": ("cond_stage_model.transformer.", clip_pairs),
    }
    common = {common_name(name): tensor for name, tensor in tensors.items()}
    prefix, layout = places[part]
    pairs = layout(published("sd15")[part])
    found = {pair: {name: common[common_name(name)] for name in pair.diffusers} for pair in pairs}
    return {f"{prefix}{pair.original}": backward(pair, values).contiguous() for pair, values in found.items()}


def _write_rest(folder: Path, size: str) -> None:
    from diffusers import DDIMScheduler
    from transformers import CLIPTokenizer

    words = {"<|startoftext|>": 0, "<|endoftext|>": 1, "a": 2, "a</w>": 3}
    names = ("tokenizer", "tokenizer_2") if size == "sdxl" else ("tokenizer",)
    for name in names:
        CLIPTokenizer(vocab=words, merges=[], model_max_length=77).save_pretrained(folder / name)
    DDIMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012).save_pretrained(
        folder / "scheduler"
    )
    index = {"_class_name": "StableDiffusionPipeline", "_diffusers_version": "0.42.1", **INDEX}
    if size == "sdxl":
        second = {"text_encoder_2": ["transformers", "CLIPTextModelWithProjection"]}
        second["tokenizer_2"] = ["transformers", "CLIPTokenizer"]
        index |= {"_class_name": "StableDiffusionXLPipeline", "force_zeros_for_empty_prompt": True, **second}
        index = {key: value for key, value in index.items() if key not in ("safety_checker", "requires_safety_checker")}
    (folder / "model_index.json").write_text(json.dumps(index))


if __name__ == "__main__":
    main()
