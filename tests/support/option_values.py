"""Values for options, made from the types and bounds of their fields."""

from __future__ import annotations

import random
from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin


def options_of(model: Any) -> Iterator[dict[str, Any]]:
    """Every option of a scheduler or a sigma schedule, alone, with a few values."""
    for name, field in type(model).model_fields.items():
        for value in of_type(field.annotation, field.metadata, random.Random(name)):
            yield {name: value}


def of_type(annotation: Any, metadata: Any, draw: random.Random) -> Iterator[Any]:
    """A few values of a type within the bounds that its metadata gives."""
    origin, inner = get_origin(annotation), [kind for kind in get_args(annotation) if kind is not NoneType]
    bounds = {
        bound: value
        for item in metadata
        for bound in ("ge", "gt", "le", "lt")
        if (value := getattr(item, bound, None)) is not None
    }
    low, high = bounds.get("ge", bounds.get("gt", 0)), bounds.get("le", bounds.get("lt", 40))
    if origin in (Union, UnionType):
        yield from (value for kind in inner for value in of_type(kind, metadata, draw))
    elif origin is Literal:
        yield from inner
    elif origin in (tuple, frozenset) and inner:
        count = 1 if Ellipsis in inner or origin is frozenset else len(inner)
        drawn = [next(of_type(inner[0], metadata, draw)) for _ in range(count)]
        yield origin(sorted(drawn))
    elif origin is dict:
        yield from ({"vae": value} for value in of_type(inner[1], (), draw))
    elif annotation is bool:
        yield from (True, False)
    elif annotation is int:
        ends = (low, min(high, low + 4)) if "ge" in bounds else ()
        yield from dict.fromkeys((low + 1 + draw.randrange(3), low + 1, *ends))
    elif annotation is float:
        shares = (draw.uniform(0.001, 0.01), draw.uniform(0.02, 0.1), draw.uniform(0.3, 0.7), draw.uniform(0.98, 0.999))
        yield from (low + (min(high, 40) - low) * share for share in shares)
    else:
        yield "x"
