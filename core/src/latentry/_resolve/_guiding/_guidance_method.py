"""Which guidance method a request gets: the one it names, else classifier-free guidance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from latentry._attention._names import ALL, NATIVE, parse_attention
from latentry._contract._attention_change import ChangesAttention
from latentry._contract._curve import Curve, largest
from latentry._contract._model import Checkpoint
from latentry._discovery import PluginHost
from latentry._errors import IncompatibleError, OptionError
from latentry._files._finding._locate import Located
from latentry._guidance._classifier_free import ClassifierFree
from latentry._guidance._method import GuidanceMethod
from latentry._specs import GuidanceSpec, VariantSpec

OUTPUTS = frozenset({"uncond", "weak-model"})
"""The branches that the engine can evaluate with every network; for the latter the request names a second one."""
ATTENTION = frozenset({"perturbed-attention", "smoothed-attention"})
"""Branches for which a network's attention is changed."""
PLAIN = GuidanceSpec(name="classifier-free", target="", summary="")


@dataclass(frozen=True)
class ChosenMethod:
    """A guidance method with its options.

    Attributes:
        name: ``distribution:name``; None where the request names none.
        method: the object.
        spec: its record.
    """

    name: str | None
    method: GuidanceMethod
    spec: GuidanceSpec

    @property
    def decided(self) -> dict[str, Any]:
        """The fields of a request for this method."""
        return {"guidance_method": self.name, "guidance_options": self.method.model_dump() if self.name else {}}


def choose_method(
    host: PluginHost, located: Located, name: str | None, options: Mapping[str, Any], scale: float | Curve | None
) -> ChosenMethod:
    """The requested method, else the variant's own, else plain classifier-free guidance.

    Args:
        host: what is installed.
        located: the model's family and variant, which say how its network is guided and what it can be asked for.
        name: a method's name, or None.
        options: of the method.
        scale: the request's guidance scale.

    Raises:
        UnknownName, OptionError: the name or an option is not known.
        IncompatibleError: it is not made for such networks, or needs a branch that nothing provides.
    """
    if (name := name or located.variant.guidance_method or None) is None:
        return ChosenMethod(None, ClassifierFree(), PLAIN)
    spec = host.guidance[name]
    _check_fit(host, spec, located)
    if scale is not None and spec.largest is not None and largest(scale) > spec.largest:
        raise OptionError(
            f"The guidance method {spec.name!r} cannot be used with a guidance scale of {scale:g}.",
            why=f"Its scales go up to {spec.largest:g}.",
            remedy="Use a smaller scale" + ("." if spec.guidance is None else f", e.g. {spec.guidance:g}."),
            field="guidance",
        )
    return ChosenMethod(host.guidance.qualified(name), host.guidance.create(name, **options), spec)


def _check_fit(host: PluginHost, spec: GuidanceSpec, located: Located) -> None:
    variant, own = located.variant, host.families[located.family].branches
    can = OUTPUTS | own | ({"skip-layers"} if variant.skip_layers else set())
    if (kind := variant.guidance_kind) not in spec.kinds:
        distilled = kind != "classifier-free" and "uncond" in spec.branches
        why = (
            f"It needs the output without the prompt, and guidance was distilled into the network of {variant.name}."
            if distilled
            else f"It is for networks whose guidance is {', '.join(sorted(spec.kinds))}; here it is {kind}."
        )
    elif lacking := spec.branches - can:
        why = f"It needs the branches {', '.join(sorted(lacking))}; this network provides {', '.join(sorted(can))}."
    else:
        return
    fitting = [name for name, each in host.guidance.items() if kind in each.kinds and each.branches <= can]
    raise IncompatibleError(
        f"The guidance method {spec.name!r} cannot be used with {variant.name}.",
        why=why,
        remedy=f"Use one of: {', '.join(fitting)}." if fitting else "Leave it out.",
        field="guidance_method",
    )


def check_attention(chosen: ChosenMethod, checkpoint: Checkpoint, attention: str, variant: VariantSpec) -> None:
    """Refuses a method that changes attention where that cannot be.

    Args:
        chosen: the method; its option ``blocks`` says where.
        checkpoint: says how many blocks there are.
        attention: the backends by role, as text.
        variant: for the message.

    Raises:
        IncompatibleError: attention is computed natively.
        OptionError: there is no such block.
    """
    if not chosen.spec.branches & ATTENTION:
        return
    backends = parse_attention(attention)
    if any(NATIVE in backends.get(role, backends[ALL]) for role in ("self", "cross", "joint")):
        raise IncompatibleError(
            f"The guidance method {chosen.spec.name!r} cannot be used with native attention.",
            why="It changes attention where a backend is called.",
            remedy="Use an attention backend: install latentry-attention-sdpa, and leave the attention to it.",
            field="attention",
        )
    blocks = tuple(getattr(chosen.method, "blocks", ()))
    if blocks and isinstance(checkpoint, ChangesAttention) and max(blocks) >= checkpoint.attention_blocks:
        raise OptionError(
            f"There is no attention block {max(blocks)}.",
            why=f"The network of {variant.name} has {checkpoint.attention_blocks}, counted from 0.",
            remedy=f"Use numbers from 0 to {checkpoint.attention_blocks - 1}.",
            field="guidance_options",
        )
