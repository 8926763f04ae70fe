"""How files name an adapter's tensors: the layer that a key belongs to, and which of the layer's tensors it is.

Nothing here needs torch, so that a file can be recognised from its header.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

FACTORS = {"down": ("lora_down", "lora_A", "lora.down", "lora_linear_layer.down"), "mid": ("lora_mid",)}
FACTORS |= {"up": tuple(name.replace("down", "up").replace("_A", "_B") for name in FACTORS["down"])}
"""LoRA's factors as kohya, PEFT and diffusers name them; ``mid`` is the core of a Tucker decomposition."""

PLAIN = (
    *("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "hada_t1", "hada_t2"),
    *("lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2"),
    *("oft_blocks", "oft_r", "oft_s"),
)
"""Tensors that LyCORIS and PEFT name alike; in PEFT's networks the adapter's name, ``default``, follows."""


def _suffixes() -> Mapping[str, str]:
    found = {name: name for name in ("alpha", "dora_scale", "rescale", "diff", "diff_b")}
    found |= {f"{name}{end}": name for name in PLAIN for end in ("", ".default")}
    endings = (".weight", ".default.weight")
    found |= {f"{name}{end}": slot for slot, names in FACTORS.items() for name in names for end in endings}
    found |= {f"lora_B{end}": "up_bias" for end in (".bias", ".default.bias")}
    found |= {f"oft_R{end}": "oft_R" for end in endings}
    found |= {f"lora_magnitude_vector{end}": "magnitude" for end in ("", ".default", *endings)}
    return found | {"magnitude": "magnitude"}


SUFFIXES = _suffixes()
"""What follows the layer's name in a key → which of the layer's tensors it is."""
PROCESSOR = re.compile(r"_lora[12]?$")
"""How diffusers' old attention processors and XLabs' end the name of a layer, before ``.down.weight``."""
XLABS = re.compile(r"(double|single)_blocks\.\d+\.processor\.(qkv|proj)_lora[12]?\.(down|up)\.weight$")


class TensorName(NamedTuple):
    """A key taken apart.

    Attributes:
        layer: in the file's own spelling.
        slot: which of the layer's tensors: ``down``, ``up``, ``alpha``, ``hada_w1_a``, …
    """

    layer: str
    slot: str


def split_key(key: str) -> TensorName | None:
    """The layer and the slot of a key; None for what is not an adapter's tensor."""
    pieces = key.rsplit(".", 3)
    for start in range(1, len(pieces)):
        layer, suffix = ".".join(pieces[:start]), ".".join(pieces[start:])
        if slot := SUFFIXES.get(suffix):
            return TensorName(layer, slot)
        if suffix in ("down.weight", "up.weight") and PROCESSOR.search(layer):
            return TensorName(layer, suffix.removesuffix(".weight"))
    return None


UNSUPPORTED = (
    (r"\.lokr_t1", "LoKr with a Tucker decomposition of its first factor"),
    (r"\.oft_blocks\.\d+(\.\w+)*", "OFT with rotations for parts of a layer"),
    (r"\.oft_diag(\.\w+)*", "OFT in an early layout"),
    (r"\.boft_[Rs](\.\w+)*", "BOFT, a butterfly of rotations"),
    (r"^(lora|lycoris)_\w+\.([ab][12]|bm)\.weight", "GLoRA"),
    (r"\.glora_\w+(\.\w+)*", "GLoRA"),
    (r"\.(on_input|ia3_l(\.\w+)*)", "IA³, which scales activations"),
    (r"\.vera_lambda_[bd](\.\w+)*", "VeRA, which shares its matrices between layers"),
    (r"\.lora_E(\.\w+)?", "AdaLoRA"),
    (r"\.lora_embedding_[AB](\.\w+)?", "a LoRA of embeddings"),
    (r"\.hra_u(\.\w+)*", "HRA, a chain of reflections"),
    (r"\.set_weight", "weights that replace the model's"),
    (r"\.[wb]_norm", "changes of normalisation layers"),
)
"""Suffixes of keys that only unsupported kinds of adapter have, and what those kinds are."""
ANY_UNSUPPORTED = re.compile("(?:" + "|".join(f"(?P<kind{n}>{end})" for n, (end, _) in enumerate(UNSUPPORTED)) + ")$")
"""All of them in one pattern: files can have a hundred thousand keys."""


def unsupported(key: str) -> str | None:
    """The unsupported kind of adapter that a key belongs to, such as "GLoRA"; None for all other keys."""
    found = ANY_UNSUPPORTED.search(key)
    if found is None:
        return None
    assert found.lastgroup is not None
    return UNSUPPORTED[int(found.lastgroup.removeprefix("kind"))][1]


class AdapterWords(NamedTuple):
    """What adapter a file's keys show.

    Attributes:
        words: to follow "is": ``a LoRA``, ``a LoHa adapter``.
        key: the first key that shows it.
        runs: whether adapters of this kind can be applied to a model.
    """

    words: str
    key: str
    runs: bool = True


SIGNS: tuple[tuple[str, frozenset[str]], ...] = (
    ("a DoRA adapter", frozenset({"dora_scale", "magnitude"})),
    ("a LoHa adapter", frozenset(slot for slot in PLAIN if slot.startswith("hada"))),
    ("a LoKr adapter", frozenset(slot for slot in PLAIN if slot.startswith("lokr"))),
    ("an OFT adapter", frozenset({"oft_blocks", "oft_r", "oft_s", "oft_R"})),
    ("a LoRA", frozenset({"down", "up", "mid", "up_bias"})),
    ("a file of weight differences", frozenset({"diff", "diff_b"})),
)
"""The kind that the slots in a file show; the first match counts."""


def identify_adapter(keys: Iterable[str]) -> AdapterWords | None:
    """Says what adapter a file holds, from the names of its tensors alone.

    Args:
        keys: the names of the file's tensors.

    Returns:
        The adapter; None if no key belongs to one. ``alpha`` alone does not show one.
    """
    first: dict[str, str] = {}
    for key in keys:
        if (words := unsupported(key)) is not None:
            return AdapterWords(f"an adapter of a kind that is not supported ({words})", key, runs=False)
        if (name := split_key(key)) is not None:
            first.setdefault(name.slot, key)
    if "down" not in first and first.get("magnitude", "").endswith(".magnitude"):
        del first["magnitude"]  # a network may have parameters of this name
    for words, slots in SIGNS:
        if found := [first[slot] for slot in first if slot in slots]:
            xlabs = words == "a LoRA" and XLABS.search(found[0])
            return AdapterWords("a LoRA in XLabs' layout" if xlabs else words, found[0])
    return None
