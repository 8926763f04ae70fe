"""Pictures that attention is shown beside the text (Ye et al. 2023, IP-Adapter, arXiv:2308.06721)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, rms_norm

from latentry import IncompatibleError
from latentry.attention import AttentionBackend
from latentry_diffusers.attention._change import tokens_of
from latentry_diffusers.attention._heads import joined, split

KEY = re.compile(r"(cross|joint)\.(\d+)\.key\.(\d+)")
"""Layer and picture of a key's injection point. Its value is at ``cross.LAYER.value.PICTURE``, and where it is seen, if
not everywhere, at ``cross.mask.PICTURE``; of joint layers likewise, with norms and a weight."""
EPSILON = 1e-6
"""Of the norms beside joint layers."""


@dataclass(frozen=True)
class ShownPicture:
    """What one layer attends to of one picture.

    Attributes:
        key: (batch, tokens, width).
        value: likewise.
        mask: where in the picture that is drawn, (batch or 1, 1, height, width), 0 to 1; None: everywhere.
        size: rows and columns of that picture, in tokens of the finest level.
    """

    key: Tensor
    value: Tensor
    mask: Tensor | None
    size: tuple[int, int]

    def masked(self, states: Tensor) -> Tensor:
        """States (batch, tokens, width), zero where they are not to be seen.

        The mask is resampled as diffusers' ``IPAdapterMaskProcessor`` does, without a filter against aliasing.
        """
        if self.mask is None:
            return states
        there = interpolate(self.mask, tokens_of(self.size, states.shape[1]), mode="bicubic")
        return states * there.flatten(2).transpose(1, 2).to(states)


@dataclass(frozen=True)
class JoinedPicture:
    """What one joint layer attends to of one picture, together with what is drawn, as InstantX's adapters have it.

    Attributes:
        key: (batch, tokens, width), already normalised.
        value: likewise.
        norms: weights of the RMS norms of the layer's own queries and keys, (batch or 1, head size).
        weight: of the result, by place: (batch or 1, 1, height, width), or 1 × 1 where it is the same everywhere.
        size: rows and columns of what is drawn, in tokens of the finest level.
    """

    key: Tensor
    value: Tensor
    norms: tuple[Tensor, Tensor]
    weight: Tensor
    size: tuple[int, int]


@dataclass(frozen=True)
class Shown:
    """What some layers are shown.

    Attributes:
        layers: pictures by the ``id`` of diffusers' layer.
        joined: those of joint layers that attend to them together with what is drawn.
    """

    layers: Mapping[int, Sequence[ShownPicture]]
    joined: Mapping[int, Sequence[JoinedPicture]] = field(default_factory=dict)

    @staticmethod
    def of(shown: Shown | None, layer: Any) -> Sequence[ShownPicture]:
        """The pictures of a layer."""
        return () if shown is None else shown.layers.get(id(layer), ())

    @staticmethod
    def beside(shown: Shown | None, layer: Any) -> Sequence[JoinedPicture]:
        """The joined pictures of a layer."""
        return () if shown is None else shown.joined.get(id(layer), ())


def shown_states(
    backend: AttentionBackend, q: Tensor, pictures: Sequence[ShownPicture], *, scale: float | None = None
) -> Tensor | None:
    """What queries (batch, heads, tokens, head size) find in pictures, (batch, tokens, width); None without any."""
    states: Tensor | None = None
    for picture in pictures:
        k, v = (split(lambda tensor: tensor, each.to(q.dtype), q.shape[1]) for each in (picture.key, picture.value))
        found = picture.masked(joined(backend.attend(q, k, v, scale=scale), q.dtype))
        states = found if states is None else states + found
    return states


def beside(backend: AttentionBackend, own: Sequence[Tensor], picture: JoinedPicture) -> Tensor:
    """What a joint layer finds in what is drawn and a picture together, (batch, tokens, width).

    Args:
        backend: computes attention.
        own: the layer's queries, keys and values of what is drawn, (batch, heads, tokens, head size), not normalised.
        picture: it.
    """
    q, k, v = own
    q, k = (
        rms_norm(each, each.shape[-1:], eps=EPSILON) * w[:, None, None]
        for each, w in zip((q, k), picture.norms, strict=True)
    )
    more = (split(lambda tensor: tensor, each.to(q.dtype), q.shape[1]) for each in (picture.key, picture.value))
    k, v = (torch.cat(pair, dim=2) for pair in zip((k, v), more, strict=True))
    states = joined(backend.attend(q, k, v), v.dtype)
    weight = picture.weight
    if weight.shape[-2:] != (1, 1):
        weight = interpolate(weight, tokens_of(picture.size, states.shape[1]), mode="bicubic")
    return states * weight.flatten(2).transpose(1, 2).to(states)


def cross_layers(denoiser: nn.Module) -> list[Any]:
    """The layers that attend to the text, in the order in which the network lists them."""
    return [
        layer
        for layer in denoiser.modules()
        if hasattr(layer, "set_processor")
        and (getattr(layer, "is_cross_attention", False) or getattr(layer, "add_q_proj", None) is not None)
    ]


def shown_to(layers: Sequence[Any], injected: Mapping[str, Tensor] | None, size: tuple[int, int]) -> Shown | None:
    """What the layers are shown of what conditioners inject; None where that is nothing.

    Args:
        layers: those that attend to the text.
        injected: by injection point.
        size: rows and columns of the picture, in tokens of the finest level.

    Raises:
        IncompatibleError: a layer is not served by a backend.
    """
    found: dict[int, list[ShownPicture]] = {}
    together: dict[int, list[JoinedPicture]] = {}
    for name in injected or {}:
        if injected is None or (match := KEY.fullmatch(name)) is None:
            continue
        kind, number, which = match.groups()
        layer = layers[int(number)]
        if "shown" not in getattr(layer.processor, "takes", ()):
            raise IncompatibleError(
                "Layers that compute attention natively cannot be shown a picture.",
                why="The picture is attended to by a backend, and these layers call none.",
                remedy="Use an attention backend, such as sdpa.",
                field="attention",
            )
        value = injected[f"{kind}.{number}.value.{which}"]
        if kind == "cross":
            shown = ShownPicture(injected[name], value, injected.get(f"cross.mask.{which}"), size)
            found.setdefault(id(layer), []).append(shown)
            continue
        norms = injected[f"joint.{number}.query-norm.{which}"], injected[f"joint.{number}.key-norm.{which}"]
        joint = JoinedPicture(injected[name], value, norms, injected[f"joint.weight.{which}"], size)
        together.setdefault(id(layer), []).append(joint)
    return Shown(found, together) if found or together else None
