"""Edges of photographs, beside OpenCV itself."""

from __future__ import annotations

import sys

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


@pytest.mark.parametrize("given", [{"low": 3}, {"preprocess": "canny", "low": 300}, {"preprocess": "sobel"}])
def test_what_makes_no_sense_is_refused(given: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", sys)  # as if it were installed
    with pytest.raises(ValidationError, match=r"preprocess=canny|low must not be above high|'canny'"):
        PictureOptions.model_validate(given)


def test_without_opencv_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("latentry_diffusers.conditioning.preprocessing.find_spec", lambda name: None)
    with pytest.raises(ValidationError, match="pip install opencv-python-headless"):
        PictureOptions.model_validate({"preprocess": "canny"})
