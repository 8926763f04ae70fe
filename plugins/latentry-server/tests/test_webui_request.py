"""What becomes of a request of AUTOMATIC1111's interface."""

from __future__ import annotations

from base64 import b64encode
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from latentry import Policy
from latentry_server.webui_request import FromPicture, FromText, to_wanted


@pytest.mark.parametrize("body", [FromText, FromPicture])
@pytest.mark.parametrize(
    ("fields", "syntax"),
    [
        ({"prompt": "a [cat:dog:0.5]"}, "automatic1111"),
        ({"prompt": "a", "negative_prompt": "[b|c]"}, "automatic1111"),
        ({"prompt": "a [cat]"}, "plain"),
    ],
)
def test_webuis_words_change_over_the_steps(body: type[FromText | FromPicture], fields: Any, syntax: str) -> None:
    shelf = SimpleNamespace(embeddings=dict)
    service: Any = SimpleNamespace(settings=SimpleNamespace(policy=Policy()), shelf=shelf)
    buffer = BytesIO()
    Image.new("RGB", (64, 64)).save(buffer, "PNG")
    pictures = {"init_images": [b64encode(buffer.getvalue()).decode()]} if body is FromPicture else {}
    assert to_wanted(service, body(**fields, **pictures), None).request.prompt_syntax == syntax
