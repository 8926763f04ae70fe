from contextlib import nullcontext

import torch
from safetensors.torch import load_file
from torch import nn

from latentry import Flow, IncompatibleError, OptionError, Prediction
from latentry.attention import attention_backend
from latentry.models import Conditioning, LoadReport, NoiseSettings


class Mixer(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = nn.Conv2d(3 + 1, 3 * 4, 1)
        self.out = nn.Conv2d(4, 3, 1)
        self.backend = None

    def forward(self, x, hue):
        batch, _, height, width = x.shape
        states = self.qkv(torch.cat([x, hue.view(-1, 1, 1, 1).expand(batch, 1, height, width)], 1))
        q, k, v = states.view(batch, 3, 1, 4, -1).transpose(-1, -2).unbind(1)
        attend = nn.functional.scaled_dot_product_attention if self.backend is None else self.backend.attend
        return self.out(attend(q, k, v).transpose(-1, -2).reshape(batch, 4, height, width))


class FrozenModel:
    process, prediction = Flow(), Prediction.FLOW

    def __init__(self, network, report, device, dtype):
        self.network, self.report, self.device, self.dtype = network, report, device, dtype
        self.networks = {"transformer": network}

    def latent_shape(self, width, height):
        return latent_shape(width, height)

    def encode_prompt(self, prompts, settings):
        hues = [sum(map(ord, prompt)) % 7 / 7 for prompt in prompts]
        return Conditioning({"hue": torch.tensor(hues, dtype=self.dtype, device=self.device)})

    def predict(self, x, timestep, conditioning, *, skip_layers=()):
        return self.network(x.to(self.dtype), conditioning["hue"])

    def inpainting(self, pixels, mask):
        return {}

    def encode(self, pixels, noise=None):
        return pixels.float()

    def decode(self, latents):
        return latents.float().clamp(-1, 1)

    def set_attention(self, backend, *, role=None):
        if role not in (None, "self"):
            raise OptionError(f"no attention role {role!r}", remedy="Use self.")
        self.network.backend = attention_backend(backend) if isinstance(backend, str) else backend
        return _Until(self.network)

    def set_tiling(self, side, *, slicing=False):
        return nullcontext()

    def set_loras(self, loras, mode="unmerged"):
        if loras:
            raise IncompatibleError("This network takes no LoRAs.")
        return nullcontext()


class _Until:
    def __init__(self, network):
        self.network = network

    def __enter__(self):
        return None

    def __exit__(self, *failure):
        self.network.backend = None


def latent_shape(width, height):
    if width < 8 or height < 8:
        raise OptionError(f"This model cannot draw {width}×{height} pixels.", remedy="Use 8 or more.")
    return (3, height, width)


class FrozenCheckpoint:
    noise, size, layers, parts = NoiseSettings(Flow(), Prediction.FLOW), 16, 0, ("transformer",)

    def __init__(self, path):
        self.path = path

    def latent_shape(self, width, height):
        return latent_shape(width, height)

    def shift(self, width, height):
        return 1.0

    def load(self, device, dtype, dtypes=None):
        network, tensors = Mixer(), load_file(self.path)
        network.load_state_dict(tensors)
        return FrozenModel(
            network.to(device, dtype).eval().requires_grad_(False), LoadReport(len(tensors)), device, dtype
        )

    def match_loras(self, paths):
        raise IncompatibleError("This network takes no LoRAs.")


def open_checkpoint(files, variant):
    return FrozenCheckpoint(files.path)
