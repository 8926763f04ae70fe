"""What holds for every package that ships a trained model."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import torch

from latentry import CheckpointSpec, ModelFiles, PluginHost

MEGABYTES = 14
"""A model may be so large that its package comes quickly."""


class ShippedModel:
    """Subclass it as ``Test…`` and name the package's module."""

    module: ModuleType
    moved: bool = True
    """Whether ``latentry-shapes`` had it once."""

    @property
    def spec(self) -> CheckpointSpec:
        (spec,) = self.module.latentry_checkpoints()
        return spec

    @property
    def folder(self) -> Path:
        module, attribute = self.spec.target.split(":")
        found: Path = getattr(import_module(module), attribute)()
        return found

    def test_the_name_is_the_distributions(self) -> None:
        assert self.spec.name == self.module.__name__.removeprefix("latentry_").replace("_", "-")
        assert PluginHost().checkpoints.qualified(self.spec.name) == f"latentry-{self.spec.name}:{self.spec.name}"
        assert self.spec.default == (self.spec.name == "shapes")

    def test_a_name_from_when_one_package_had_all_models_still_resolves(self) -> None:
        assert self.spec.moved_from == (("latentry-shapes",) if self.moved and not self.spec.default else ())
        for distribution in self.spec.moved_from:
            assert PluginHost().checkpoints[f"{distribution}:{self.spec.name}"] == self.spec

    def test_registration_imports_nothing_heavy(self) -> None:
        heavy = "{'torch', 'diffusers', 'transformers', 'numpy', 'scipy', 'PIL'}"
        code = f"import {self.module.__name__}, sys; print(sorted({heavy} & set(sys.modules)))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "[]"

    def test_the_model_is_in_the_package_and_small(self) -> None:
        files = [file for file in self.folder.rglob("*") if file.is_file()]
        assert self.folder / "model_index.json" in files
        assert Path(str(self.module.__file__)).parent in self.folder.parents
        assert sum(file.stat().st_size for file in files) <= MEGABYTES * 1_000_000
        assert {file.suffix for file in files} <= {".json", ".safetensors", ".txt", ".jinja"}

    def test_its_family_loads_it_whole_as_the_record_says(self) -> None:
        opened = PluginHost().families.load(self.spec.family)(ModelFiles(self.folder), self.spec.variant)
        assert opened.size == self.spec.size
        model = opened.load(torch.device("cpu"), torch.float32)
        assert set(model.networks) == set(opened.parts)
        assert not model.report.missing
        assert not model.report.unexpected
