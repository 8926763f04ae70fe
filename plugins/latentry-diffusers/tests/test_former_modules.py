"""Paths of modules from before this package was divided into rooms still work, and say where things are now."""

from __future__ import annotations

import subprocess
import sys
import warnings
from importlib import import_module, util

import pytest

from latentry_diffusers._former_modules import FORMER, NAMES, PACKAGE

NEEDED = {
    "autoencoder": ("Autoencoder",),
    "checkpoint": ("BundledCheckpoint",),
    "completeness": ("Need",),
    "configs": ("check_agreement", "read_json", "read_config"),
    "dtypes": ("part_dtypes",),
    "flow": ("flow_shift",),
    "headers": ("PREFIXES", "Headers", "count", "side"),
    "masking": ("mask_and_masked", "with_mask"),
    "metadata": ("predicted",),
    "networks": ("CLIP", "CLIP_PROJECTED", "FLUX", "SD3", "T5", "UNET", "VAE", "Config", "PartSpec"),
    "published": ("BETAS", "CLIP_G", "CLIP_L", "T5_XXL", "VAE_16", "VAE_4", "Config"),
    "release": ("Place", "Release"),
    "sizes": ("check_size",),
    "t5": ("encode_t5",),
    "tokenizers": ("Text", "TokenizerSpec", "load_text"),
    "unet": ("UNetCheckpoint",),
    "unet_shape": ("shape_of",),
    "unet_support": ("INPAINTING", "why_not_config", "why_not_file"),
    "weights": ("TensorHeader", "WeightFiles", "read_headers"),
}
"""What families imported from the old modules."""


@pytest.mark.parametrize("former", FORMER)
def test_a_former_path_works_and_warns_where_it_is_used(former: str) -> None:
    name = f"{PACKAGE}.{former}"
    sys.modules.pop(name, None)
    with pytest.warns(DeprecationWarning, match=f"{name} has moved: use {PACKAGE}.") as caught:
        module = import_module(name)
    places = [import_module(f"{PACKAGE}.{place}") for place in FORMER[former]]
    assert all(place.__name__ in str(caught[0].message) for place in places)
    for needed in NEEDED.get(former, ()):
        assert any(getattr(module, needed) is getattr(place, needed, None) for place in places)
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = module.no_such_name


@pytest.mark.parametrize(("package", "name"), [(package, name) for package, names in NAMES.items() for name in names])
def test_a_module_that_became_a_package_keeps_its_names(package: str, name: str) -> None:
    module = import_module(f"{PACKAGE}.{package}")
    with pytest.warns(DeprecationWarning, match=rf"{PACKAGE}\.{package}\.{name} has moved: use {PACKAGE}\.") as caught:
        value = getattr(module, name)
    assert [warning.filename for warning in caught] == [__file__]
    home, _, rest = str(caught[0].message).partition("use ")[2].partition(". The old")[0].rpartition(".")
    assert value is getattr(import_module(home), rest)
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = module.no_such_name


def test_such_a_name_can_be_imported() -> None:
    with pytest.warns(DeprecationWarning, match="use latentry_diffusers.bundle.open.open_bundle"):
        from latentry_diffusers.bundle import open_bundle  # type: ignore[attr-defined]
    assert open_bundle.__module__ == "latentry_diffusers.bundle.open"


def test_the_warning_names_the_line_of_the_import() -> None:
    sys.modules.pop("latentry_diffusers.configs", None)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        from latentry_diffusers.configs import read_json  # type: ignore[import-not-found]
    assert [warning.filename for warning in caught] == [__file__]
    assert read_json.__module__ == "latentry_diffusers.files.configs"


def test_the_package_itself_warns_of_nothing() -> None:
    script = "import latentry_diffusers; latentry_diffusers.read_headers; dir(latentry_diffusers)"
    subprocess.run([sys.executable, "-W", "error::DeprecationWarning", "-c", script], check=True)


def test_no_former_path_hides_a_module_of_today() -> None:
    for former in FORMER:
        spec = util.find_spec(f"{PACKAGE}.{former}")
        assert spec is not None
        assert spec.origin is None  # not a file
    assert util.find_spec(f"{PACKAGE}.no_such_module") is None
