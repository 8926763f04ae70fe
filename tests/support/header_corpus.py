"""Headers of files of weights, made from the published networks: half of them can be run, half have one fault."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

from support.published import layout, networks, single_file
from support.sparse import Shapes, shapes_of, write_sparse, write_sparse_gguf, write_sparse_shards

VARIANTS = (
    *(("sd", name) for name in ("sd15", "sd15-inpainting", "sd21-base", "sd2-inpainting")),
    *(("sdxl", name) for name in ("base", "refiner", "inpainting")),
    *(("sd3", name) for name in ("sd35-medium", "sd35-large", "sd3-medium")),
    *(("flux", name) for name in ("dev", "schnell", "fill")),
)
"""One for each shape."""


@dataclass(frozen=True)
class Entry:
    """One header.

    Attributes:
        name: what it is.
        runs: whether it can be run, with the parts given that it lacks.
        family: of the network in it.
        variant: of the network in it.
        write: writes it to a folder, and returns what to open.
    """

    name: str
    runs: bool
    family: str
    variant: str
    write: Callable[[Path], Path] = field(compare=False)


def corpus() -> Iterator[Entry]:
    """Every entry, in a fixed order; nothing is built before an entry is written."""
    for family, variant in VARIANTS:
        for runs, forms in ((True, SOUND), (False, FAULTY)):
            for name, write in forms.items():
                yield Entry(f"{variant}: {name}", runs, family, variant, partial(write, Published(family, variant)))
    for name, shapes in OTHERS.items():
        yield Entry(name, False, "sd", "sd15", partial(_write_other, shapes))


@cache
def parts(family: str, variant: str) -> dict[str, Any]:
    """The published networks, on the meta device."""
    return networks(family, variant)


@cache
def denoiser(family: str, variant: str) -> str:
    return next(name for name in parts(family, variant) if name in ("unet", "transformer"))


@dataclass(frozen=True)
class Published:
    """The shapes of a variant's tensors."""

    family: str
    variant: str

    @property
    def whole(self) -> Shapes:
        """Every network, in the original layout."""
        return _shapes(self.family, self.variant, whole=True)

    @property
    def original(self) -> Shapes:
        """The denoiser alone, in its original layout."""
        return _shapes(self.family, self.variant, whole=False)

    @property
    def bare(self) -> dict[str, tuple[int, ...]]:
        """The same without the prefix."""
        return {name.removeprefix(PREFIX): shape for name, shape in self.original.items()}

    @property
    def own(self) -> Shapes:
        """The denoiser alone, under diffusers' names."""
        return shapes_of(parts(self.family, self.variant)[denoiser(self.family, self.variant)])

    @property
    def text(self) -> str:
        """How the names of a text encoder in the whole file begin."""
        held = layout(self.family, self.variant)
        prefixes = [held[name].prefix for name in held if name.startswith("text_encoder")]
        return next(p for p in prefixes if any(name.startswith(p) for name in self.whole))

    def layer(self, number: int) -> str:
        """The name of a matrix's layer."""
        return _matrices(self.original)[number].removesuffix(".weight")


Write = Callable[[Published, Path], Path]
PREFIX = "model.diffusion_model."


@cache
def _shapes(family: str, variant: str, *, whole: bool) -> Shapes:
    built = parts(family, variant)
    name = denoiser(family, variant)
    return single_file(family, variant, built if whole else {name: built[name]})


def _matrices(shapes: Shapes) -> list[str]:
    return [name for name, shape in shapes.items() if name.endswith(".weight") and len(shape) == 2]


def _safetensors(shapes: Callable[[Published], Shapes], **options: Any) -> Write:
    return lambda published, folder: write_sparse(folder / "file.safetensors", shapes(published), **options)


def _gguf(shapes: Callable[[Published], Shapes]) -> Write:
    return lambda published, folder: write_sparse_gguf(folder / "file.gguf", shapes(published), published.family)


def _scaled(
    shapes: Callable[[Published], Shapes], end: str, prefix: str = PREFIX, *, lacks: int | None = None, values: int = 1
) -> Write:
    """With every matrix in float8 and its scale."""

    def write(published: Published, folder: Path) -> Path:
        plain = shapes(published)
        matrices = _matrices(plain)
        scales = {name.removesuffix(".weight") + end: (values,) for name in matrices}
        if lacks is not None:
            del scales[matrices[lacks].removesuffix(".weight") + end]
        marks: Shapes = {f"{prefix}scaled_fp8": (2,)} if end == ".scale_weight" else {}
        dtypes = dict.fromkeys((*matrices, *marks), "F8_E4M3") | dict.fromkeys(scales, "F32")
        return write_sparse(folder / "file.safetensors", {**plain, **scales, **marks}, dtypes=dtypes)

    return write


def _without(shapes: Shapes, number: int) -> Shapes:
    name = list(shapes)[number]
    return {key: shape for key, shape in shapes.items() if key != name}


def _with_longer_bias(published: Published) -> Shapes:
    name = next(name for name in published.original if name.endswith(".bias"))
    return {**published.original, name: (published.original[name][0] + 1,)}


SOUND: Mapping[str, Write] = {
    "whole, original layout": _safetensors(lambda p: p.whole),
    "denoiser, original layout": _safetensors(lambda p: p.original),
    "denoiser, original layout, without prefix": _safetensors(lambda p: p.bare, dtype="BF16"),
    "denoiser, diffusers' names": _safetensors(lambda p: p.own),
    "denoiser, in shards": lambda p, folder: write_sparse_shards(folder, p.own),
    "denoiser, GGUF": _gguf(lambda p: p.bare),
    "plain float8": _safetensors(lambda p: p.original, dtype="F8_E4M3"),
    "scaled float8": _scaled(lambda p: p.original, ".scale_weight"),
    "scaled float8 by layer": _scaled(lambda p: p.bare, ".weight_scale"),
    "with more tensors and a misleading title": _safetensors(
        lambda p: {**p.whole, "model_ema.decay": (), "extra": (3,)}, modelspec__title="not a Turbo, not SDXL"
    ),
    "with a packed text encoder": _safetensors(lambda p: {**p.whole, f"{p.text}layer.weight.absmax": (4,)}),
}
"""Files that can be run."""

FAULTY: Mapping[str, Write] = {
    "lacks its last tensor": _safetensors(lambda p: _without(p.original, -1)),
    "lacks a tensor in the middle": _safetensors(lambda p: _without(p.original, len(p.original) // 2)),
    "lacks a tensor, diffusers' names": _safetensors(lambda p: _without(p.own, len(p.own) // 3)),
    "lacks a tensor, GGUF": _gguf(lambda p: _without(p.bare, len(p.bare) // 3)),
    "a tensor of another shape": _safetensors(lambda p: {**p.original, f"{p.layer(-1)}.weight": (7, 5)}),
    "a longer bias": _safetensors(_with_longer_bias),
    "4 bits of bitsandbytes": _safetensors(lambda p: {**p.original, f"{p.layer(5)}.weight.absmax": (9,)}),
    "8 bits of bitsandbytes": _safetensors(lambda p: {**p.original, f"{p.layer(5)}.SCB": (9,)}),
    "GPTQ": _safetensors(lambda p: {**p.original, f"{p.layer(2)}.qweight": (4, 4)}),
    "a scale for each block": _scaled(lambda p: p.original, ".weight_scale", values=3),
    "a scale is missing": _scaled(lambda p: p.original, ".scale_weight", lacks=1),
}
"""Files of the same networks that cannot."""

CROSS = "down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k"
OTHERS: Mapping[str, Callable[[], Shapes]] = {
    "autoencoder": lambda: shapes_of(parts("sd", "sd15")["vae"]),
    "text encoder": lambda: shapes_of(parts("sd", "sd15")["text_encoder"]),
    "T5": lambda: shapes_of(parts("flux", "dev")["text_encoder_2"]),
    "LoRA": lambda: {f"lora_unet_{CROSS}.lora_down.weight": (8, 768), f"lora_unet_{CROSS}.lora_up.weight": (640, 8)},
    "LoRA in XLabs' naming": lambda: {
        "double_blocks.0.processor.qkv_lora1.down.weight": (16, 3072),
        "double_blocks.0.processor.qkv_lora1.up.weight": (9216, 16),
    },
    "ControlNet": lambda: {"controlnet_cond_embedding.conv_in.weight": (16, 3, 3, 3)},
    "upscaler": lambda: {"conv_first.weight": (64, 3, 3, 3)},
    "embedding": lambda: {"emb_params": (4, 768)},
    "nothing that is known": lambda: {"a.weight": (3, 4)},
}
"""Files that are not models."""


def _write_other(shapes: Callable[[], Shapes], folder: Path) -> Path:
    return write_sparse(folder / "file.safetensors", shapes())
