"""The models, LoRAs and embeddings that a server offers: what is installed, and what lies in its folders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from latentry import (
    EmbeddingRequest,
    FileKind,
    GenerationRequest,
    LatentryError,
    PluginHost,
    Policy,
    Recipe,
    inspect_model,
)

SUFFIXES = (".safetensors", ".gguf")
FIELDS = ("model", "refiner", "guidance_model")
"""Fields of a request that name models."""
Kind = Literal["model", "lora", "embedding"]
KINDS: dict[FileKind, Kind] = {FileKind.LORA: "lora", FileKind.EMBEDDING: "embedding"}
"""What is offered besides models."""


@dataclass(frozen=True)
class Offered:
    """A model, a LoRA or an embedding.

    Attributes:
        name: what clients call it.
        path: what the engine is given for it.
        kind: what it is.
        family: ``distribution:name`` of a model's family.
        variant: of a model, where its files say.
        size: height and width in pixels that it draws best, where known.
    """

    name: str
    path: str
    kind: Kind
    family: str = ""
    variant: str = ""
    size: int | None = None


class Shelf:
    """What is offered. Files are looked at once, and again when they change.

    Args:
        host: its installed models are offered.
        policy: what lies at the top of its roots is offered, too.
    """

    def __init__(self, host: PluginHost, policy: Policy) -> None:
        self._host, self._policy = host, policy
        self._roots = [root.expanduser().resolve() for root in policy.roots or ()]  # as engines tell paths
        self._seen: dict[tuple[Path, float], Offered | None] = {}

    def models(self) -> dict[str, Offered]:
        """The models by name."""
        found = {}
        for name in self._host.checkpoints:
            spec = self._host.checkpoints[name]
            family = self._host.families.qualified(spec.family) if spec.family in self._host.families else spec.family
            found[name] = Offered(name, name, "model", family, spec.variant, spec.size)
        return {**self._files("model"), **found}

    def loras(self) -> dict[str, Offered]:
        """The LoRAs by name."""
        return self._files("lora")

    def embeddings(self) -> dict[str, Offered]:
        """The textual inversions by name, the word in prompts; those whose names are not words are left out."""
        return {name: each for name, each in self._files("embedding").items() if _is_word(each)}

    def path(self, name: str | None) -> str | None:
        """What the engine is given for a model's name; another text stays as it is."""
        if name is None or name in self._host.checkpoints:
            return name
        offered = self._files("model").get(name)
        return name if offered is None else offered.path

    def lora(self, name: str) -> str:
        """What the engine is given for a LoRA's name; another text stays as it is."""
        offered = self._files("lora").get(name)
        return name if offered is None else offered.path

    def embedding(self, name: str) -> str:
        """What the engine is given for an embedding's name; another text stays as it is."""
        offered = self._files("embedding").get(name)
        return name if offered is None else offered.path

    def name(self, path: str) -> str:
        """What clients call what is at a path."""
        return next((one.name for one in self._all() if one.path == path), path)

    def shown(self, recipe: Recipe) -> Recipe:
        """A recipe as strangers may see it, see ``named``."""
        return recipe.model_copy(update={"request": self.named(recipe.request)})

    def named(self, request: GenerationRequest) -> GenerationRequest:
        """A request with names of what is offered in place of its paths, which are the server's affair."""
        if not self._policy.roots:
            return request
        names = {one.path: one.name for one in self._all()}
        loras = tuple(lora.model_copy(update={"path": names.get(lora.path, lora.path)}) for lora in request.loras)
        learnt = tuple(one.model_copy(update={"path": names.get(one.path, one.path)}) for one in request.embeddings)
        models = {field: names.get(path, path) for field in FIELDS if (path := getattr(request, field)) is not None}
        return request.model_copy(update={"loras": loras, "embeddings": learnt, **models})

    def without_paths(self, data: dict[str, Any]) -> dict[str, Any]:
        """An error's data without the folders that models lie in."""
        for root in self._policy.roots or ():
            places = {f"{root}/", f"{root.resolve()}/"}
            for place in places:
                data = {k: v.replace(place, "") if isinstance(v, str) else v for k, v in data.items()}
        return data

    def _files(self, kind: Kind) -> dict[str, Offered]:
        return {each.name: each for each in self._all() if each.kind == kind}

    def _all(self) -> list[Offered]:
        entries = [entry for root in self._roots if root.is_dir() for entry in sorted(root.iterdir())]
        seen = (self._look(entry) for entry in entries if entry.is_dir() or entry.suffix in SUFFIXES)
        return [each for each in seen if each is not None]

    def _look(self, path: Path) -> Offered | None:
        key = path, path.stat().st_mtime
        if key not in self._seen:
            self._seen[key] = self._inspect(path)
        return self._seen[key]

    def _inspect(self, path: Path) -> Offered | None:
        try:
            found = inspect_model(self._host, path, self._policy)
        except LatentryError:
            return None
        name = path.name if path.is_dir() else path.stem
        if found.family is not None:
            variants = found.found.variants
            return Offered(name, str(path), "model", found.family, variants[0] if len(variants) == 1 else "")
        return Offered(name, str(path), KINDS[found.found.kind]) if found.found.kind in KINDS else None


def _is_word(embedding: Offered) -> bool:
    try:
        EmbeddingRequest(path=embedding.path, name=embedding.name)
    except ValidationError:
        return False
    return True
