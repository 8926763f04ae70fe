"""What is checked: a family's record, and models of its variants."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from latentry._contract._conditioning import PromptSettings
from latentry._contract._model import Checkpoint, Model
from latentry._discovery import PluginHost
from latentry._errors import ModelError
from latentry._files._recognise import claims
from latentry._specs import ModelFamilySpec, ModelFiles, VariantSpec
from latentry.testing._kit._checked import Whole, load_target

CPU = torch.device("cpu")
FamilySource = str | ModelFamilySpec
"""A name the plugin host knows, or a record."""


@dataclass(frozen=True)
class FamilySubject(Whole):
    """A family, its record, and models to check it with.

    Attributes:
        spec: its record.
        files: of a model, by variant; the variants that are not here are not checked beyond their record.
        host: where names are resolved.
        installed: the name the host knows it by; empty for a record that no plugin registers.
    """

    spec: ModelFamilySpec
    files: Mapping[str, ModelFiles]
    host: PluginHost = field(repr=False)
    installed: str = ""
    _kept: dict[Any, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def of(
        cls,
        source: FamilySource,
        *,
        models: Mapping[str, Path] | None = None,
        host: PluginHost | None = None,
    ) -> FamilySubject:
        """Resolves a name or a record.

        Args:
            source: what to check.
            models: folders or files by variant; by default the installed models of the family.
            host: resolves names; by default a new one with everything that is installed.
        """
        host = host or PluginHost()
        installed, spec = (source, host.families[source]) if isinstance(source, str) else ("", source)
        if models is None:
            models = dict(_installed_models(host, host.families.qualified(installed))) if installed else {}
        return cls(spec, {variant: ModelFiles(Path(path)) for variant, path in models.items()}, host, installed)

    @classmethod
    def of_path(cls, source: str, path: Path, *, host: PluginHost) -> FamilySubject:
        """A family with one model, of whatever variant it is recognised as.

        Raises:
            ModelError: the family does not recognise it.
        """
        qualified = host.families.qualified(source)
        mine = [claim.detection for claim in claims(host, ModelFiles(path)) if claim.family == qualified]
        if not mine or not mine[0].variants:
            raise ModelError(
                f"{path} is not a model of the family {source!r}.", remedy=f"See what it is: latentry inspect {path}."
            )
        return cls.of(source, models={mine[0].variants[0]: path}, host=host)

    @property
    def variants(self) -> Iterator[VariantSpec]:
        """The variants that there is a model of."""
        return (variant for variant in self.spec.variants if variant.name in self.files)

    @property
    def detect(self) -> Callable[[ModelFiles], Any]:
        """The detector."""
        detect: Callable[[ModelFiles], Any] = self._imported("detector")
        return detect

    def open(self, files: ModelFiles, variant: str) -> Checkpoint:
        """What the family's target makes of files."""
        checkpoint: Checkpoint = self._imported("target")(files, variant)
        return checkpoint

    def checkpoint(self, variant: VariantSpec) -> Checkpoint:
        """The model's checkpoint, opened once."""
        key = ("checkpoint", variant.name)
        found: Checkpoint = self._once(key, lambda: self.open(self.files[variant.name], variant.name))
        return found

    def model(self, variant: VariantSpec) -> Model:
        """The model in float32 on the CPU, loaded once; who changes it puts it back."""
        found: Model = self._once(("model", variant.name), lambda: self.loaded(variant))
        return found

    def loaded(self, variant: VariantSpec, dtype: torch.dtype = torch.float32) -> Model:
        """The model, loaded anew."""
        return self.open(self.files[variant.name], variant.name).load(CPU, dtype)

    def side(self, variant: VariantSpec) -> int:
        """Height and width in pixels of the pictures that checks draw."""
        return self.checkpoint(variant).size

    def settings(self, variant: VariantSpec, guidance: float = 3.5) -> PromptSettings:
        """What prompts are encoded with."""
        side = self.side(variant)
        return PromptSettings(side, side, guidance=guidance if variant.guidance_kind == "distilled" else None)

    def _imported(self, field_: str) -> Any:
        return (
            self.host.families.load(self.installed, field_)
            if self.installed
            else load_target(getattr(self.spec, field_))
        )

    def _once(self, key: Any, make: Callable[[], Any]) -> Any:
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]


def _installed_models(host: PluginHost, family: str) -> Iterator[tuple[str, Path]]:
    """A variant's installed model, the first by name."""
    for name in sorted(host.checkpoints, reverse=True):
        spec = host.checkpoints[name]
        if spec.family == family:
            yield spec.variant, Path(host.checkpoints.load(name)())
