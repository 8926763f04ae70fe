"""Finds where values that are not finite arose first, without waiting for the device inside the loop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from latentry._contract._model import Model
from latentry._errors import NonFiniteError
from latentry._guidance._evaluate import Branch, Evaluate
from latentry._numerics._processes._point import Query


class Source(NamedTuple):
    """Where values come from.

    Attributes:
        what: e.g. ``the denoiser``.
        step: index of the step; None outside the loop.
        model: the model whose network computed them; None for arithmetic on latents.
        parts: the networks of the model that can be at fault, named as in ``Model.networks``.
    """

    what: str
    step: int | None = None
    model: Model | None = None
    parts: tuple[str, ...] = ()


class FiniteCheck:
    """Keeps the smallest and the largest value of each tensor on the device, and reads all of them at once.

    An infinite or NaN value shows in them: NaN is both extremes of a tensor that has one.
    """

    def __init__(self) -> None:
        self._sources: list[Source] = []
        self._extremes: list[Tensor] = []

    def add(self, source: Source, values: Tensor) -> None:
        """Takes note of a tensor; does not wait for the device."""
        self._sources.append(source)
        self._extremes += torch.aminmax(values)

    def first(self) -> Source | None:
        """The source of the first tensor that was not finite; None where all were. Waits for the device once."""
        if not self._extremes:
            return None
        finite = torch.isfinite(torch.stack([extreme.float() for extreme in self._extremes])).tolist()
        pairs = zip(finite[::2], finite[1::2], strict=True)
        return next((source for source, pair in zip(self._sources, pairs, strict=True) if not all(pair)), None)

    def raise_first(self, steps: int | None = None) -> None:
        """Ends the run where a tensor was not finite.

        Args:
            steps: of the run, for the message.

        Raises:
            NonFiniteError: says where the values arose first, in which dtype, and what to try.
        """
        if (source := self.first()) is not None:
            raise non_finite(source, steps)


@dataclass(frozen=True)
class CheckedEvaluate:
    """Evaluates the network and notes its outputs in a check.

    Attributes:
        evaluate: the network.
        check: where outputs are noted.
        source: the network; its step is filled in.
    """

    evaluate: Evaluate
    check: FiniteCheck
    source: Source

    def __call__(self, query: Query, *branches: Branch) -> tuple[Tensor, ...]:
        """See ``Evaluate``."""
        outputs = self.evaluate(query, *branches)
        for output in outputs:
            self.check.add(self.source._replace(step=query.index), output)
        return outputs


def denoiser_of(model: Model, what: str = "the denoiser") -> Source:
    """The source of a model's own outputs."""
    parts = tuple(part for part in model.networks if part != "vae" and not part.startswith("text_encoder"))
    return Source(what, model=model, parts=parts)


def check_encoded(tensors: Mapping[str, Tensor], model: Model, prompt: str) -> None:
    """Refuses a prompt whose encoding is not finite.

    Raises:
        NonFiniteError: which prompt it was.
    """
    check = FiniteCheck()
    parts = tuple(part for part in model.networks if part.startswith("text_encoder"))
    for tensor in tensors.values():
        if tensor.is_floating_point() and tensor.numel():
            check.add(Source(f"the text encoder, for the prompt {prompt[:60]!r}", model=model, parts=parts), tensor)
    check.raise_first()


def all_finite(tensors: Iterable[Tensor]) -> bool:
    """Whether all values of all tensors are finite. Waits for the device."""
    check = FiniteCheck()
    for tensor in tensors:
        check.add(Source(""), tensor)
    return check.first() is None


def non_finite(source: Source, steps: int | None = None) -> NonFiniteError:
    """The error for values that are not finite, after a search of the weights for the cause."""
    where = "" if source.step is None else f" at step {source.step + 1}" + (f" of {steps}" if steps else "")
    networks = {part: source.model.networks[part] for part in source.parts} if source.model else {}
    dtypes = dict.fromkeys(str(dtype_of(network)).removeprefix("torch.") for network in networks.values())
    dtype = " and ".join(dtypes) or (str(source.model.dtype).removeprefix("torch.") if source.model else "float32")
    for part, network in networks.items():
        if (name := _bad_weight(network)) is not None:
            return NonFiniteError(
                f"The values from {source.what}{where} are not finite.",
                why=f"The tensor {part}.{name} of the checkpoint or of a LoRA holds values that are not finite.",
                remedy="The file is damaged: download it again, or use another one.",
            )
    return NonFiniteError(
        f"The values from {source.what}{where} are not finite.",
        why=f"They were computed in {dtype}, and overflowed or were divided by zero. No picture was made from them.",
        remedy=_remedy(source, dtype, tuple(networks)),
    )


def _remedy(source: Source, dtype: str, parts: tuple[str, ...]) -> str:
    advice = []
    if dtype == "float16":
        part = next(iter(parts), "")
        advice.append(f"use bfloat16 or float32 ({part}=float32 for this part alone)" if part else "use float32")
    if source.what == "the scheduler":
        advice.append("use another scheduler or other options of it")
    if source.what != "the autoencoder":
        advice.append("use a lower guidance scale and weaker emphasis in the prompt")
    text = "; ".join(advice or ["use another model"])
    return f"{text[0].upper()}{text[1:]}."


def _bad_weight(network: nn.Module) -> str | None:
    """The name of a weight that is not finite; None where there is none."""
    for name, weight in (*network.named_parameters(), *network.named_buffers()):
        # quantised weights are integers, and have no such values
        if weight.is_floating_point() and weight.numel() and not bool(torch.isfinite(weight.float()).all()):
            return name
    return None


def dtype_of(network: nn.Module) -> torch.dtype:
    """The dtype of a network's weights; float32 for one without floating-point weights."""
    return next((weight.dtype for weight in network.parameters() if weight.is_floating_point()), torch.float32)
