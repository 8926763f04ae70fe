"""What is made of photographs, beside OpenCV itself and what stands in for controlnet_aux."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from support.both_pipelines import drawing

from latentry_diffusers.conditioning.preprocessing import PictureOptions, preprocessed

PICTURE = drawing()[0]


def test_without_being_asked_the_picture_stays() -> None:
    picture = torch.rand(1, 3, 8, 8) * 2 - 1
    assert preprocessed(picture, None) is picture
    assert preprocessed(picture, PictureOptions()) is picture


def test_the_edges_are_opencvs() -> None:
    cv2 = pytest.importorskip("cv2")
    import numpy as np

    levels = np.asarray(PICTURE)
    picture = torch.from_numpy(levels.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
    for low, high in ((100, 200), (20, 60)):
        options = PictureOptions.model_validate({"preprocess": "canny", "low": low, "high": high})
        found = preprocessed(picture, options)
        assert found.shape == picture.shape
        expected = torch.from_numpy(cv2.Canny(levels, low, high)).float() / 127.5 - 1
        assert all(torch.equal(channel, expected) for channel in found[0])
        assert set(found.unique().tolist()) == {-1.0, 1.0}


@pytest.mark.parametrize(
    "given",
    [
        {"low": 3},
        {"preprocess": "canny", "low": 300},
        {"preprocess": "sobel"},
        {"preprocess": "lineart-standard", "low": 3},
    ],
)
def test_what_makes_no_sense_is_refused(given: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("cv2", "controlnet_aux"):
        monkeypatch.setitem(sys.modules, name, sys)  # as if it were installed
    with pytest.raises(ValidationError, match=r"preprocess=canny|low must not be above high|'canny'"):
        PictureOptions.model_validate(given)


@pytest.mark.parametrize(
    ("name", "installed"), [("canny", "opencv-python-headless"), ("lineart-standard", "controlnet-aux")]
)
def test_without_the_library_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, name: str, installed: str
) -> None:
    monkeypatch.setattr("latentry_diffusers.conditioning.preprocessing.find_spec", lambda name: None)
    with pytest.raises(ValidationError, match=f"pip install {installed}"):
        PictureOptions.model_validate({"preprocess": name})


def test_lines_are_asked_of_controlnet_aux_at_the_size_of_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library brings torchvision; what stands in for it has the signature of its version 0.0.10."""

    class LineartStandardDetector:
        def __call__(
            self,
            input_image: Any = None,
            guassian_sigma: float = 6.0,
            intensity_threshold: int = 8,
            detect_resolution: int = 512,
            output_type: str = "pil",
        ) -> Any:
            assert (detect_resolution, output_type) == (min(input_image.shape[:2]), "np")
            dark = 255 - input_image.min(axis=2)
            return dark[..., None].repeat(3, axis=2)

    library: Any = ModuleType("controlnet_aux")
    library.LineartStandardDetector, library.__spec__ = LineartStandardDetector, ModuleSpec("controlnet_aux", None)
    monkeypatch.setitem(sys.modules, "controlnet_aux", library)
    picture = torch.randint(0, 256, (1, 3, 24, 40)) / 127.5 - 1
    found = preprocessed(picture, PictureOptions.model_validate({"preprocess": "lineart-standard"}))
    assert torch.allclose(found, -picture.amin(1, keepdim=True).expand_as(picture), atol=1e-6)


def test_controlnet_aux_itself_where_it_is_installed() -> None:
    """A dark line on a light ground becomes a light one on a dark ground, at its place."""
    pytest.importorskip("controlnet_aux")
    picture = torch.full((1, 3, 64, 96), 0.8)
    picture[..., 30:33, :] = -0.9
    found = preprocessed(picture, PictureOptions.model_validate({"preprocess": "lineart-standard"}))
    assert found.shape == picture.shape
    assert float(found[..., 31, :].min()) > -0.1
    assert float(found[..., :10, :].max()) < -0.9
