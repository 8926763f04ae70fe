"""A stand-in of the part of ComfyUI's interface that the pack uses, by its documentation and behaviour as of v0.29.0
(2026-07-29). Nothing of ComfyUI's code is in it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import torch
from torch import Tensor


class EPS:
    """x = x₀ + σ·ε; the network answers ε, and gets x/√(1 + σ²)."""

    def __init__(self, sigmas: Tensor) -> None:
        self.sigmas = sigmas

    @property
    def sigma_min(self) -> Tensor:
        return self.sigmas[0]

    @property
    def sigma_max(self) -> Tensor:
        return self.sigmas[-1]

    def noise_scaling(self, sigma: Tensor, noise: Tensor, latent: Tensor, max_denoise: bool = False) -> Tensor:
        """The start of a run."""
        scale = torch.sqrt(1.0 + sigma**2) if max_denoise else sigma
        return noise * scale + latent

    def inverse_noise_scaling(self, sigma: Tensor, x: Tensor) -> Tensor:
        """What a run gives."""
        return x


class V_PREDICTION(EPS):
    """The network answers v."""


class EDM(V_PREDICTION):
    """Continuous levels."""


class X0(EPS):
    """The network answers x₀."""


class CONST(EPS):
    """A rectified flow: x = (1 − σ)·x₀ + σ·ε."""

    def noise_scaling(self, sigma: Tensor, noise: Tensor, latent: Tensor, max_denoise: bool = False) -> Tensor:
        return sigma * noise + (1.0 - sigma) * latent

    def inverse_noise_scaling(self, sigma: Tensor, x: Tensor) -> Tensor:
        return x / (1.0 - sigma)


class IMG_TO_IMG(EPS):
    """No diffusion."""


class KSAMPLER:
    """The SAMPLER object."""

    def __init__(
        self, sampler_function: Callable[..., Tensor], extra_options: Any = None, inpaint_options: Any = None
    ) -> None:
        self.sampler_function, self.extra_options = sampler_function, extra_options or {}

    def sample(
        self,
        model_wrap: Any,
        sigmas: Tensor,
        extra_args: dict[str, Any],
        callback: Any,
        noise: Tensor,
        latent_image: Tensor,
        denoise_mask: Tensor | None = None,
    ) -> Tensor:
        """One run, masked where a mask is given: the model blends before and after each evaluation."""
        sampling = model_wrap.inner_model.model_patcher.get_model_object("model_sampling")
        full = bool(sigmas[0] >= sampling.sigma_max - 1e-5)

        def model_k(x: Tensor, sigma: Tensor, **given: Any) -> Tensor:
            if denoise_mask is not None:
                known = sampling.noise_scaling(sigma.view(-1, 1, 1, 1), noise, latent_image)
                x = x * denoise_mask + known * (1.0 - denoise_mask)
            out: Tensor = model_wrap(x, sigma, **given)
            return out if denoise_mask is None else out * denoise_mask + latent_image * (1.0 - denoise_mask)

        model_k.inner_model = model_wrap.inner_model  # type: ignore[attr-defined]
        x = sampling.noise_scaling(sigmas[0], noise, latent_image, full)
        told = None if callback is None else lambda d: callback(d["i"], d["denoised"], d["x"], len(sigmas) - 1)
        x = self.sampler_function(
            model_k, x, sigmas, extra_args=extra_args, callback=told, disable=True, **self.extra_options
        )
        return sampling.inverse_noise_scaling(sigmas[-1], x)  # type: ignore[no-any-return]


class SchedulerHandler(NamedTuple):
    """How KSampler lays out levels."""

    handler: Callable[..., Tensor]
    use_ms: bool = True


class Guided:
    """The wrapped model: ``predict(x, sigma)`` with and without the prompt, guided at a scale."""

    def __init__(self, sampling: Any, predict: Callable[..., Tensor], scale: float = 1.0) -> None:
        patcher = SimpleNamespace(get_model_object=lambda name: {"model_sampling": sampling}[name])
        self.inner_model = SimpleNamespace(model_patcher=patcher)
        self._predict, self._scale = predict, scale

    def __call__(self, x: Tensor, sigma: Tensor, model_options: Any = None, seed: int | None = None) -> Tensor:
        model_options = model_options or {}
        cond, uncond = self._predict(x, sigma), 0.5 * self._predict(x, sigma)
        if self._scale == 1.0 and not model_options.get("disable_cfg1_optimization"):
            return cond
        denoised = uncond + self._scale * (cond - uncond)
        for function in model_options.get("sampler_post_cfg_function", []):
            denoised = function(
                {"denoised": denoised, "cond_denoised": cond, "uncond_denoised": uncond, "sigma": sigma}
            )
        return denoised


def set_model_options_post_cfg_function(
    options: dict[str, Any], function: Any, disable_cfg1_optimization: bool = False
) -> Any:
    """New options with a function that is called after guidance."""
    new = {**options, "sampler_post_cfg_function": [*options.get("sampler_post_cfg_function", []), function]}
    return {**new, "disable_cfg1_optimization": True} if disable_cfg1_optimization else new


def _io() -> SimpleNamespace:
    def kind(name: str) -> Any:
        def made(*given: Any, **named: Any) -> SimpleNamespace:
            return SimpleNamespace(kind=name, id=given[0] if given else None, **named)

        return SimpleNamespace(Input=made, Output=made)

    kinds = {name: kind(name) for name in ("Combo", "Float", "Int", "Boolean", "String", "Model", "Sampler", "Sigmas")}
    return SimpleNamespace(
        ComfyNode=type("ComfyNode", (), {}),
        Schema=lambda **fields: SimpleNamespace(**fields),
        NodeOutput=lambda *results: SimpleNamespace(args=results),
        **kinds,
    )


def modules() -> dict[str, ModuleType]:
    """ComfyUI's modules by name."""
    names = ("comfy", "comfy.samplers", "comfy.model_sampling", "comfy.model_patcher", "comfy.k_diffusion")
    found = {name: ModuleType(name) for name in (*names, "comfy.k_diffusion.sampling", "comfy_api", "comfy_api.latest")}
    every = ["euler"]

    class KSampler:
        SAMPLERS, SCHEDULERS = every, ["normal"]

    parts: dict[str, dict[str, Any]] = {
        "comfy.model_sampling": {each.__name__: each for each in (EPS, V_PREDICTION, EDM, X0, CONST, IMG_TO_IMG)},
        "comfy.model_patcher": {"set_model_options_post_cfg_function": set_model_options_post_cfg_function},
        "comfy.samplers": {
            "KSAMPLER": KSAMPLER,
            "KSampler": KSampler,
            "KSAMPLER_NAMES": ["euler"],
            "SAMPLER_NAMES": every,
            "SCHEDULER_NAMES": KSampler.SCHEDULERS,
            "SCHEDULER_HANDLERS": {},
            "SchedulerHandler": SchedulerHandler,
        },
        "comfy_api.latest": {"ComfyExtension": type("ComfyExtension", (), {}), "io": _io()},
    }
    for name, content in parts.items():
        vars(found[name]).update(content)
    for name, module in found.items():
        above, _, last = name.rpartition(".")
        if above:
            setattr(found[above], last, module)
    return found


def install(monkeypatch: Any) -> None:
    """Makes the modules importable for a test."""
    for name, module in modules().items():
        monkeypatch.setitem(sys.modules, name, module)
