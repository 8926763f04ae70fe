"""The Hub's record, without importing its client; which strings are names on the Hub."""

from __future__ import annotations

import subprocess
import sys

import pytest

from latentry import OptionError, PluginHost
from latentry.models import FetchOptions
from latentry_hub.names import HubName, parse
from latentry_hub.source import Hub


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("owner/name", HubName("owner/name")),
        ("owner/na.me-1_0@main", HubName("owner/na.me-1_0", revision="main")),
        ("owner/name@refs/pr/3", HubName("owner/name", revision="refs/pr/3")),
        ("owner/name/file.gguf", HubName("owner/name", "file.gguf")),
        ("owner/name/sub/file.safetensors@v1", HubName("owner/name", "sub/file.safetensors", "v1")),
        ("owner/name/sub", None),
        ("owner/name/file.ckpt", None),
        ("name", None),
        ("/owner/name", None),
        ("./owner/name", None),
        ("../name", None),
        ("~/name", None),
        ("owner//name", None),
        ("owner/name@", None),
        ("owner/.name", None),
        ("", None),
    ],
)
def test_which_texts_are_names_of_the_hub(text: str, read: HubName | None) -> None:
    assert parse(text) == read
    assert Hub().claims(text) is (read is not None)


def test_the_client_is_imported_on_use_alone() -> None:
    code = """if True:
        import sys
        from latentry import PluginHost
        host = PluginHost(load=["latentry-hub"], strict=True)
        assert host.model_sources.create("hub").claims("owner/name")
        sys.exit(bool({"huggingface_hub", "torch"} & set(sys.modules)))
    """
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_two_revisions_are_refused_before_anything_is_asked() -> None:
    with pytest.raises(OptionError, match="ask for two revisions") as caught:
        PluginHost(load=["latentry-hub"]).model_sources.create("hub").fetch("owner/name@v1", FetchOptions("v2"))
    assert caught.value.field == "revision"
