"""Pictures as other programs write them, by their documented formats."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

PROMPT, NEGATIVE = 'a (red:1.2) circle, "quoted": ü', "grey, blurry"


def png(path: Path, **texts: str) -> Path:
    """A PNG file with text chunks."""
    about = PngInfo()
    for name, text in texts.items():
        about.add_text(name.replace("_", "-") if name == "sd_metadata" else name, text)
    Image.new("RGB", (64, 64), "grey").save(path, pnginfo=about)
    return path


def automatic1111(path: Path, prompt: str = PROMPT, **changed: str) -> Path:
    """The ``parameters`` text of AUTOMATIC1111."""
    values = {
        "Steps": "6",
        "Sampler": "DPM++ 2M",
        "Schedule type": "Karras",
        "CFG scale": "3.5",
        "Seed": "1234",
        "Size": "64x64",
        "Model hash": "6ce0161689",
        "Model": "shapes",
        "Lora hashes": '"ink: aaaa, wax: bbbb"',
        "Version": "v1.10.1",
    } | {name.replace("_", " "): value for name, value in changed.items()}
    line = ", ".join(f"{name}: {value}" for name, value in values.items())
    return png(path, parameters=f"{prompt}\nNegative prompt: {NEGATIVE}\n{line}")


GRAPH: dict[str, Any] = {
    "3": {
        "class_type": "KSampler",
        "inputs": {
            "seed": 1234,
            "steps": 6,
            "cfg": 3.5,
            "sampler_name": "dpmpp_2m",
            "scheduler": "karras",
            "denoise": 1.0,
            "model": ["10", 0],
            "positive": ["6", 0],
            "negative": ["7", 0],
            "latent_image": ["5", 0],
        },
    },
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "shapes"}},
    "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": PROMPT, "clip": ["4", 1]}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": NEGATIVE, "clip": ["4", 1]}},
    "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
    "9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "ComfyUI", "images": ["8", 0]}},
    "10": {
        "class_type": "LoraLoaderModelOnly",
        "inputs": {"lora_name": "ink.safetensors", "strength_model": 0.8, "model": ["4", 0]},
    },
}
"""A text-to-image graph with a LoRA, in the form that ComfyUI's API takes."""


KINDS = {"positive": "CONDITIONING", "negative": "CONDITIONING", "latent_image": "LATENT", "samples": "LATENT"}
"""The types of links that are not called as their inputs are."""


def comfyui(path: Path, graph: dict[str, Any] = GRAPH) -> Path:
    """Both chunks of ComfyUI; of the editor's, the links alone."""
    links = [
        [0, int(value[0]), value[1], int(node), 0, KINDS.get(name, name.upper())]
        for node, content in graph.items()
        for name, value in content["inputs"].items()
        if isinstance(value, list)
    ]
    return png(path, prompt=json.dumps(graph), workflow=json.dumps({"links": links}))


def comfyui_webp(path: Path, graph: dict[str, Any] = GRAPH) -> Path:
    """The same in EXIF's tag for the camera's model, the chunk's name first."""
    exif = Image.Exif()
    exif[0x0110] = f"prompt:{json.dumps(graph)}"
    Image.new("RGB", (64, 64), "grey").save(path, exif=exif)
    return path


def comfyui_workflow(path: Path) -> Path:
    """The ``workflow`` chunk alone, as the editor saves the same graph."""
    links: list[list[Any]] = []

    def link(origin: int, slot: int, target: int, name: str) -> dict[str, Any]:
        links.append([len(links) + 1, origin, slot, target, 0, "*"])
        return {"name": name, "type": "*", "link": len(links)}

    nodes = [
        {
            "id": 3,
            "type": "KSampler",
            "inputs": [link(4, 0, 3, "model"), link(6, 0, 3, "positive"), link(7, 0, 3, "negative")],
            "widgets_values": [1234, "fixed", 6, 3.5, "dpmpp_2m", "karras", 1],
        },
        {"id": 4, "type": "CheckpointLoaderSimple", "inputs": [], "widgets_values": ["shapes"]},
        {"id": 6, "type": "CLIPTextEncode", "inputs": [], "widgets_values": [PROMPT]},
        {"id": 7, "type": "CLIPTextEncode", "inputs": [], "widgets_values": [NEGATIVE]},
        {"id": 8, "type": "VAEDecode", "inputs": [link(3, 0, 8, "samples")], "widgets_values": []},
        {"id": 9, "type": "SaveImage", "inputs": [link(8, 0, 9, "images")], "widgets_values": ["ComfyUI"]},
    ]
    return png(path, workflow=json.dumps({"nodes": nodes, "links": links, "version": 0.4}))


def invokeai(path: Path) -> Path:
    """The ``invokeai_metadata`` chunk."""
    content = {
        "generation_mode": "txt2img",
        "positive_prompt": PROMPT,
        "negative_prompt": NEGATIVE,
        "width": 64,
        "height": 64,
        "seed": 1234,
        "rand_device": "cpu",
        "cfg_scale": 3.5,
        "cfg_rescale_multiplier": 0.2,
        "steps": 6,
        "scheduler": "dpmpp_2m_k",
        "model": {"key": "k", "hash": "blake3:x", "name": "shapes", "base": "sd-1", "type": "main"},
        "loras": [{"model": {"name": "ink", "base": "sd-1"}, "weight": 0.8}],
        "app_version": "5.0.0",
    }
    return png(path, invokeai_metadata=json.dumps(content))


def diffusers(path: Path) -> Path:
    """A pipeline's arguments as JSON."""
    content = {
        "model": "shapes",
        "scheduler": {"_class_name": "DPMSolverMultistepScheduler", "use_karras_sigmas": True},
        "prompt": PROMPT,
        "negative_prompt": NEGATIVE,
        "num_inference_steps": 6,
        "guidance_scale": 3.5,
        "seed": 1234,
        "width": 64,
        "height": 64,
        "eta": 0.0,
    }
    return png(path, parameters=json.dumps(content))
