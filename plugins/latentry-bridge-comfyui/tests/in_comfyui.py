"""A program for ``test_in_comfyui``: our pack in a real ComfyUI, on a small model; prints what came of it as JSON.

``python in_comfyui.py FOLDER``, the folder being ComfyUI's.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

FOLDER = sys.argv[1]
sys.argv = ["comfyui", "--cpu"]
sys.path.insert(0, FOLDER)
os.environ["LATENTRY_COMFYUI_KSAMPLER"] = "1"

import comfy.options  # type: ignore[import-not-found]  # noqa: E402
import torch  # noqa: E402

comfy.options.enable_args_parsing()

import comfy.model_base  # type: ignore[import-not-found]  # noqa: E402
import comfy.model_patcher  # type: ignore[import-not-found]  # noqa: E402
import comfy.sample  # type: ignore[import-not-found]  # noqa: E402
import comfy.samplers  # type: ignore[import-not-found]  # noqa: E402
import comfy.supported_models  # type: ignore[import-not-found]  # noqa: E402
from comfy_api.latest import ComfyExtension  # type: ignore[import-not-found]  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from latentry import PluginHost  # noqa: E402
from latentry_bridge_comfyui import comfy_entrypoint  # noqa: E402

KINDS = ("EPS", "V_PREDICTION", "EDM", "FLOW")
SAME = {"euler": "euler", "dpmpp_2m": "dpmpp-2m", "euler_cfg_pp": "ddim-cfgpp", "dpmpp_2m_cfg_pp": "dpmpp-2m-cfgpp"}
NEITHER = {("FLOW", "dpmpp_2m"), ("FLOW", "dpmpp_2m_cfg_pp"), ("FLOW", "euler_cfg_pp"), ("EDM", "euler_cfg_pp")}
"""There the method is another one here: multistep in λ of the flow, CFG++ for VP alone."""


class Network(nn.Module):
    """Smooth in the sample, the time and the prompt."""

    dtype = torch.float32

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor, t: Tensor, context: Tensor, **more: Any) -> Tensor:
        rows = (0.02 * t / 1000).view(-1, 1, 1, 1)
        return torch.tanh(x) * 0.3 + rows * x + 0.1 * context.mean(dim=(1, 2)).view(-1, 1, 1, 1)


def model(kind: str) -> Any:
    """A model of ComfyUI's with one of its samplings."""
    settings = comfy.supported_models.SD15({"disable_unet_model_creation": True})
    settings.unet_config["disable_unet_model_creation"] = True
    if kind == "FLOW":
        settings.sampling_settings = {"shift": 3.0}
    base = comfy.model_base.BaseModel(settings, model_type=comfy.model_base.ModelType[kind], device="cpu")
    base.diffusion_model = Network()
    cpu = torch.device("cpu")
    return comfy.model_patcher.ModelPatcher(base, load_device=cpu, offload_device=cpu)


def drawn(patcher: Any, sampler: Any, sigmas: Tensor, **more: Any) -> Tensor:
    """Latents of two rows under guidance."""
    noise = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(5))
    prompts = [[torch.full((1, 3, 5), value), {}] for value in (1.0, 0.0)]
    latent = more.pop("latent", torch.zeros_like(noise))
    given = (patcher, noise, 1.5, sampler, sigmas, prompts[:1], prompts[1:], latent)
    return comfy.sample.sample_custom(*given, disable_pbar=True, seed=3, **more)  # type: ignore[no-any-return]


async def loaded() -> list[Any]:
    """The pack's nodes, as ComfyUI loads them."""
    extension = await comfy_entrypoint()
    assert isinstance(extension, ComfyExtension)
    await extension.on_load()
    return await extension.get_node_list()  # type: ignore[no-any-return]


def apart(a: Tensor, b: Tensor) -> float:
    """The largest distance, as a part of the largest value."""
    return float((a - b).abs().max() / b.abs().max())


def main() -> None:
    """Draw, and print."""
    host, found = PluginHost(), {node.GET_SCHEMA().node_id: node for node in asyncio.run(loaded())}
    told: dict[str, Any] = {"same": {}, "finite": {}, "previews": 0}
    told["inputs"] = {name: sorted(node.INPUT_TYPES().get("optional", {})) for name, node in found.items()}
    lists = comfy.samplers.KSampler
    told["ksampler"] = [sum(n.startswith("latentry_") for n in names) for names in (lists.SAMPLERS, lists.SCHEDULERS)]
    latent = 0.5 * torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(6))
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., :4] = 1.0
    for kind in KINDS:
        patcher = model(kind)
        sigmas = comfy.samplers.calculate_sigmas(patcher.get_model_object("model_sampling"), "normal", 8)
        for theirs, ours in SAME.items():
            if (kind, theirs) in NEITHER:
                continue
            unguarded = '{"guard": false}' if "guard" in host.schedulers.load(ours).model_fields else ""
            pair = found["LatentrySampler"].execute(ours, unguarded).result[0], comfy.samplers.sampler_object(theirs)
            plain = [drawn(patcher, each, sigmas) for each in pair]
            masked = [drawn(patcher, each, sigmas[3:], latent=latent, noise_mask=mask) for each in pair]
            told["same"][f"{kind} {theirs}"] = apart(*plain)
            told["same"][f"{kind} {theirs}, masked"] = apart(*masked)
        steps: list[int] = []
        for name in host.schedulers:
            if host.schedulers[name].adaptive:
                continue
            node = found[f"LatentrySampler_{name.replace('-', '_')}"]
            heard = {"callback": lambda i, x0, x, total, steps=steps: steps.append(total)}
            got = drawn(patcher, node.execute().result[0], sigmas, latent=latent, noise_mask=mask, **heard)
            told["finite"][f"{kind} {name}"] = bool(got.isfinite().all())
        told["previews"] += len(steps)
        levels = found["LatentrySigmas"].execute(patcher, "karras", 8, 1.0).result[0]
        told["finite"][f"{kind} levels"] = bool((levels.diff() < 0).all() and levels[-1] == 0)
        sampler = {"sampler": "latentry_unipc", "scheduler": "latentry_trailing", "denoise": 0.6}
        run = lists(patcher, steps=6, device=torch.device("cpu"), **sampler, model_options=patcher.model_options)
        prompts = [[torch.full((1, 3, 5), value), {}] for value in (1.0, 0.0)]
        got = run.sample(latent, prompts[:1], prompts[1:], 1.5, latent_image=latent, disable_pbar=True, seed=3)
        told["finite"][f"{kind} KSampler"] = bool(got.isfinite().all())
    print(json.dumps(told))


if __name__ == "__main__":
    main()
