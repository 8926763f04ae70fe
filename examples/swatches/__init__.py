"""A model family without an autoencoder and without diffusers: a small network that draws colour swatches.

``latentry generate "red" --model swatches --plugin-dir examples/swatches``. This file says what the family is and how
to recognise its files; ``family.py`` says how to use ``network.py``; ``train.py`` made the weights.
"""

from collections.abc import Iterable
from pathlib import Path

from latentry import CheckpointSpec, Detection, ModelFamilySpec, ModelFiles, VariantSpec, hookimpl
from latentry.models import safetensors_header


@hookimpl
def latentry_model_families() -> Iterable[ModelFamilySpec]:
    """The family, with one variant."""
    yield ModelFamilySpec(
        name="swatches",
        target="swatches.family:open_checkpoint",
        detector="swatches:detect",
        summary="Colour swatches, drawn in pixels",
        process="flow",
        variants=(
            VariantSpec(name="swatches", summary="16 by 16", schedulers=("latentry-euler:euler",), guidance=2.0),
        ),
    )


@hookimpl
def latentry_checkpoints() -> Iterable[CheckpointSpec]:
    """The trained weights, which lie beside this file."""
    yield CheckpointSpec(
        name="swatches",
        target="swatches:weights",
        summary="Swatches of eight colours",
        family="swatches:swatches",
        variant="swatches",
        size=16,
        licence="Apache-2.0",
    )


def detect(files: ModelFiles) -> Detection | None:
    """Recognises a file by its metadata."""
    header = safetensors_header(files.path)
    if header is None or header.metadata.get("family") != "swatches":
        return None
    return Detection(("swatches",), 1.0, ("its metadata names the family",))


def weights() -> Path:
    """Where the weights are."""
    return Path(__file__).parent / "swatches.safetensors"
