"""Networks of diffusers and transformers by themselves: tiny, with random weights and fixed inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

KINDS = (
    *("Attention", "FluxAttention", "Flux2Attention", "Flux2ParallelSelfAttention", "QwenImageAttentionBlock"),
    *("CLIPAttention", "T5Attention", "Qwen3Attention", "Qwen2_5_VLAttention", "MistralAttention"),
)
"""The libraries' own attention layers."""


@dataclass(frozen=True)
class Bare:
    """A network.

    Attributes:
        name: of ``BARE``.
        part: what it is in a model; empty for a text encoder.
        network: the module.
        call: runs it on fixed inputs in its dtype.
        roles: attention layers by role.
    """

    name: str
    part: str
    network: Any
    call: Callable[..., Tensor]
    roles: Mapping[str, int]

    @property
    def layers(self) -> int:
        """Attention layers, counted by class."""
        return sum(type(module).__name__ in KINDS for module in self.network.modules())

    def run(self, **options: Any) -> Tensor:
        """The output, in its dtype."""
        with torch.no_grad():
            return self.call(next(self.network.parameters()).dtype, **options)


def _draw(*shape: int, dtype: torch.dtype) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape))).to(dtype)


def _made(seed: int, make: Callable[[], nn.Module]) -> Any:
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        return make().eval().requires_grad_(False)


def _unet() -> Bare:
    from diffusers import UNet2DConditionModel

    network = _made(
        0,
        lambda: UNet2DConditionModel(
            sample_size=8,
            block_out_channels=(16, 32),
            layers_per_block=1,
            cross_attention_dim=24,
            attention_head_dim=2,
            norm_num_groups=4,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        ),
    )

    def call(dtype: torch.dtype, **options: Any) -> Tensor:
        x, text = _draw(2, 4, 8, 8, dtype=dtype), _draw(2, 7, 24, dtype=dtype)
        out: Tensor = network(x, 333.0, encoder_hidden_states=text, return_dict=False, **options)[0]
        return out

    return Bare("unet", "unet", network, call, {"self": 4, "cross": 4})


def _sdxl() -> Bare:
    from diffusers import UNet2DConditionModel

    network = _made(
        1,
        lambda: UNet2DConditionModel(
            sample_size=8,
            block_out_channels=(16, 32),
            layers_per_block=1,
            cross_attention_dim=24,
            attention_head_dim=(2, 4),
            transformer_layers_per_block=(1, 2),
            use_linear_projection=True,
            norm_num_groups=4,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=6 * 8 + 20,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        ),
    )

    def call(dtype: torch.dtype) -> Tensor:
        x, text = _draw(2, 4, 8, 8, dtype=dtype), _draw(2, 9, 24, dtype=dtype)
        added = {"text_embeds": _draw(2, 20, dtype=dtype), "time_ids": torch.ones(2, 6, dtype=dtype) * 8}
        out: Tensor = network(x, 333.0, encoder_hidden_states=text, added_cond_kwargs=added, return_dict=False)[0]
        return out

    return Bare("sdxl", "unet", network, call, {"self": 8, "cross": 8})


def _sd3(name: str, seed: int, dual: tuple[int, ...], norm: str | None) -> Bare:
    from diffusers import SD3Transformer2DModel

    network = _made(
        seed,
        lambda: SD3Transformer2DModel(
            sample_size=8,
            in_channels=4,
            out_channels=4,
            num_layers=3,
            attention_head_dim=8,
            num_attention_heads=2,
            joint_attention_dim=24,
            caption_projection_dim=16,
            pooled_projection_dim=20,
            pos_embed_max_size=8,
            dual_attention_layers=dual,
            qk_norm=norm,
        ),
    )

    def call(dtype: torch.dtype) -> Tensor:
        out: Tensor = network(
            _draw(2, 4, 8, 8, dtype=dtype),
            encoder_hidden_states=_draw(2, 5, 24, dtype=dtype),
            pooled_projections=_draw(2, 20, dtype=dtype),
            timestep=torch.full((2,), 333.0),
            return_dict=False,
        )[0]
        return out

    roles = {"self": len(dual), "joint": 3} if dual else {"joint": 3}
    return Bare(name, "transformer", network, call, roles)


def _flux() -> Bare:
    from diffusers import FluxTransformer2DModel

    network = _made(
        4,
        lambda: FluxTransformer2DModel(
            in_channels=16,
            num_layers=2,
            num_single_layers=2,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=24,
            pooled_projection_dim=20,
            guidance_embeds=True,
            axes_dims_rope=(4, 6, 6),
        ),
    )

    def call(dtype: torch.dtype) -> Tensor:
        grid = torch.cartesian_prod(torch.zeros(1), torch.arange(4.0), torch.arange(4.0))
        out: Tensor = network(
            hidden_states=_draw(2, 16, 16, dtype=dtype),
            encoder_hidden_states=_draw(2, 5, 24, dtype=dtype),
            pooled_projections=_draw(2, 20, dtype=dtype),
            timestep=torch.full((2,), 0.4, dtype=dtype),
            guidance=torch.full((2,), 3.5),
            img_ids=grid,
            txt_ids=torch.zeros(5, 3),
            return_dict=False,
        )[0]
        return out

    return Bare("flux", "transformer", network, call, {"joint": 4})


def _vae() -> Bare:
    from diffusers import AutoencoderKL

    network = _made(
        5,
        lambda: AutoencoderKL(
            block_out_channels=(8, 16),
            layers_per_block=1,
            latent_channels=4,
            norm_num_groups=4,
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
        ),
    )

    def call(dtype: torch.dtype) -> Tensor:
        latents = network.encode(_draw(2, 3, 16, 16, dtype=dtype)).latent_dist.mode()
        out: Tensor = network.decode(latents, return_dict=False)[0]
        return out

    return Bare("vae", "vae", network, call, {"vae": 2})


def _clip() -> Bare:
    from transformers import CLIPTextConfig, CLIPTextModel

    config = CLIPTextConfig(
        vocab_size=60,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=16,
        bos_token_id=58,
        eos_token_id=59,
        pad_token_id=59,
    )
    network = _made(6, lambda: CLIPTextModel(config))
    return Bare("clip", "", network, _encoder(network), {"text": 2})


def _t5() -> Bare:
    from transformers import T5Config, T5EncoderModel

    config = T5Config(vocab_size=60, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, dropout_rate=0.0)
    network = _made(7, lambda: T5EncoderModel(config))
    return Bare("t5", "", network, _encoder(network), {"text": 2})


def _encoder(network: Any) -> Callable[..., Tensor]:
    def call(dtype: torch.dtype, **options: Any) -> Tensor:
        ids = torch.arange(18).view(2, 9)
        out: Tensor = network(ids, **options).last_hidden_state
        return out

    return call


BARE: Mapping[str, Callable[[], Bare]] = MappingProxyType(
    {
        "unet": _unet,
        "sdxl": _sdxl,
        "sd3": lambda: _sd3("sd3", 2, (), None),
        "sd35": lambda: _sd3("sd35", 3, (0,), "rms_norm"),
        "flux": _flux,
        "vae": _vae,
        "clip": _clip,
        "t5": _t5,
    }
)
