"""A policy is held before anything is opened or allocated, and its refusals do not tell what lies where."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from PIL import Image
from support.toy import toy_host, write_toy

from latentry import (
    Engine,
    GenerationRequest,
    LatentryError,
    NotAllowed,
    Policy,
    inspect_model,
    read_recipe,
)

MEBIBYTE = 2**20


def restricted(root: Path, **limits: Any) -> Engine:
    return Engine(toy_host(), policy=replace(Policy.network(), roots=(root,), **limits))


@contextmanager
def little_memory(most: int = 8 * MEBIBYTE) -> Iterator[None]:
    """What Python and Pillow allocate inside stays below ``most`` bytes."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()


EXCESSIVE: dict[str, tuple[dict[str, Any], str]] = {
    "pixels": ({"width": 8192, "height": 8192}, "width"),
    "one side": ({"width": 65_536, "height": 72}, "width"),
    "count": ({"count": 65_536}, "count"),
    "prompts": ({"prompt": ("a",) * 17}, "count"),
    "batch": ({"count": 16, "batch": 16}, "batch"),
    "steps": ({"steps": 10_000}, "steps"),
    "levels": ({"sigmas": tuple(float(level) for level in range(9000, 1, -1))}, "sigmas"),
    "prompt": ({"prompt": "a" * 20_000}, "prompt"),
    "negative": ({"negative": "a" * 20_000}, "prompt"),
    "loras": ({"loras": [{"path": "a"}] * 9}, "loras"),
    "embeddings": ({"embeddings": [{"path": "a"}] * 9}, "embeddings"),
}


@pytest.mark.parametrize("name", EXCESSIVE)
def test_more_than_is_allowed_is_refused_before_anything_is_allocated(model: str, name: str) -> None:
    fields, field = EXCESSIVE[name]
    request = GenerationRequest(**{"prompt": "a", "model": model, "steps": 2} | fields)
    engine = restricted(Path(model).parent)
    engine.prepare(GenerationRequest(prompt="a", model=model, steps=2))  # imports on use are not the request's
    with little_memory(), pytest.raises(NotAllowed) as caught:
        engine.prepare(request)
    assert (caught.value.code, caught.value.field) == ("not_allowed", field)
    assert "--" not in str(caught.value)


@pytest.mark.parametrize(
    "fields",
    [{"count": 10**9}, {"prompt": "a (b:1.2) " * 10**6}, {"width": 10**12}, {"steps": 10**5000}, {"seed": 10**400}],
    ids=["count", "prompt", "width", "steps", "seed"],
)
def test_absurd_fields_never_become_a_request(fields: dict[str, Any]) -> None:
    with little_memory(), pytest.raises((LatentryError, ValueError)):
        request = GenerationRequest(**{"prompt": "a"} | fields)
        Policy.network().check("steps", request.steps or 0)


def test_what_a_strength_lays_out_counts(model: str) -> None:
    """100 steps of a strength of 1/1000 are laid out as 100,000."""
    request = GenerationRequest(prompt="a", model=model, steps=100, strength=0.001, strength_mode="full")
    with little_memory(64 * MEBIBYTE), pytest.raises(NotAllowed, match="100,000 steps"):
        restricted(Path(model).parent).prepare(request, init_image=Image.new("RGB", (64, 64)))


def test_evaluations_count_where_a_step_takes_several(model: str) -> None:
    request = GenerationRequest(prompt="a", model=model, steps=3, scheduler="noisy")
    setup = restricted(Path(model).parent).prepare(request)
    assert setup.plan.evaluations is not None
    with pytest.raises(NotAllowed, match="evaluations"):
        restricted(Path(model).parent, evaluations=setup.plan.evaluations - 1).prepare(request)


def bomb(path: Path) -> Path:
    """A picture of 64 million pixels in 63 kB."""
    Image.new("L", (8000, 8000)).save(path, compress_level=9)
    return path


def test_a_large_picture_is_refused_by_its_header(model: str, tmp_path: Path) -> None:
    picture, engine = bomb(Path(model).parent / "bomb.png"), restricted(Path(model).parent)
    request = GenerationRequest(prompt="a", model=model, init_image=str(picture))
    with little_memory(), pytest.raises(NotAllowed, match="64,000,000 pixels of a picture to start from") as caught:
        engine.prepare(request)
    assert caught.value.field == "init_image"
    with little_memory(), pytest.raises(NotAllowed, match="64,000,000"):
        read_recipe(picture, engine.policy)
    with little_memory(), pytest.raises(NotAllowed, match="64,000,000"):
        read_recipe(BytesIO(picture.read_bytes()), engine.policy)


def test_a_picture_that_a_program_gives_counts_as_well(model: str) -> None:
    large = Image.new("RGB", (3000, 2000))
    with pytest.raises(NotAllowed, match="6,000,000 pixels of a picture are"):
        restricted(Path(model).parent).prepare(GenerationRequest(prompt="a", model=model), init_image=large)


PLACES = (
    *("model", "vae", "tokenizer", "config", "refiner", "init_image", "mask", "plan", "loras", "text_encoders"),
    "embeddings",
)


@pytest.mark.parametrize("field", PLACES)
def test_a_file_outside_is_refused_alike_whether_it_exists_or_not(model: str, tmp_path: Path, field: str) -> None:
    """Whatever is there: a model, a folder, a file, nothing, a loop of links; also by a link from inside."""
    inside, outside = Path(model), tmp_path / "outside"
    outside.mkdir()
    write_toy(outside / "folder")
    (outside / "file").write_bytes(b"anything")
    (outside / "loop").symlink_to(outside / "loop")
    (inside / "link").symlink_to(outside)
    engine, answers = restricted(inside), set()
    for name in ("folder", "file", "loop", "nothing", "folder/toy.json/x"):
        for text in (f"{outside}/{name}", f"{inside}/../outside/{name}", f"{inside}/link/{name}"):
            given = [{"path": text}]
            value: Any = {"loras": given, "embeddings": given, "text_encoders": (text,)}.get(field, text)
            others = {"init_image": str(inside / "x.png")} if field == "mask" else {}
            with pytest.raises(NotAllowed) as caught:
                engine.prepare(GenerationRequest(**{"prompt": "a", "model": model, **others, field: value}))
            answers.add(str(caught.value).replace(repr(text), "TEXT").replace(str(inside / "x.png"), ""))
    assert len(answers) == 1
    assert str(tmp_path) not in answers.pop()


@pytest.mark.parametrize("text", ["~", "~root", "~nobody-is-called-this", "secret", "sec", "secret/file", "a\0b", ""])
def test_words_are_not_looked_up_in_the_working_folder(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    engine, answers = restricted(Path(model)), []
    for present in (False, True):
        if present:
            write_toy(tmp_path / "secret")
            (tmp_path / "secret" / "file").touch()
        for field in ("vae", "model"):
            fields = {"prompt": "a", "model": model, field: text}
            with pytest.raises((LatentryError, ValueError)) as caught:
                engine.prepare(GenerationRequest(**fields))
            answers.append(str(caught.value))
    assert answers[:2] == answers[2:]


def test_the_readers_are_held_to_it(model: str, tmp_path: Path) -> None:
    policy = replace(Policy.network(), roots=(tmp_path / "other",))
    for path in (Path(model), tmp_path / "nothing"):
        with pytest.raises(NotAllowed, match="may not be opened here"):
            inspect_model(toy_host(), path, policy)
        with pytest.raises(NotAllowed, match="may not be opened here"):
            read_recipe(path, policy)


def test_a_recipe_is_held_to_the_engines_policy_unless_one_is_given(model: str, tmp_path: Path) -> None:
    recipe = Engine(toy_host()).generate(GenerationRequest(prompt="a", model=model, steps=2, seed=1)).recipes[0]
    engine = restricted(tmp_path / "nowhere")
    with pytest.raises(NotAllowed):
        engine.reproduce(recipe)
    again = engine.reproduce(recipe, policy=Policy(roots=(Path(model),)))
    assert again.recipes[0] == recipe


def test_sources_are_asked_for_the_names_that_are_allowed() -> None:
    policy = Policy(sources=("owner/*", "other/one"))
    for name in ("owner/any", "owner/any@main", "other/one"):
        policy.check_source(name)
    for name in ("other/two", "someone/owner/any", "owner"):
        with pytest.raises(NotAllowed):
            policy.check_source(name)
    with pytest.raises(NotAllowed):
        Policy.network().check_source("owner/any")


FUZZ = """
    import resource, sys
    from hypothesis import HealthCheck, given, settings, strategies as st
    from PIL import Image
    from support.toy import toy_host
    from latentry import Engine, GenerationRequest, LatentryError, Policy
    from dataclasses import replace
    from pathlib import Path

    model = sys.argv[1]
    engine = Engine(toy_host(), policy=replace(Policy.network(), roots=(Path(model),)))
    engine.prepare(GenerationRequest(prompt="a", model=model, steps=2), init_image=Image.new("RGB", (64, 64)))
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**28, used + 2**28))
    resource.setrlimit(resource.RLIMIT_CPU, (60, 60))

    numbers = st.one_of(st.integers(), st.integers(1, 2**17), st.floats(), st.sampled_from([10**9, 2**64 - 1, 1e308]))
    texts = st.one_of(
        st.text(), st.sampled_from(["/etc/passwd", "../..", "/dev/zero", "owner/name", "~", model, "a" * 10**6])
    )
    values = st.recursive(
        st.one_of(st.none(), st.booleans(), numbers, texts),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
        max_leaves=5,
    )
    fields = st.fixed_dictionaries(
        {"prompt": texts | st.lists(texts), "model": st.just(model)},
        optional={name: numbers | values for name in GenerationRequest.model_fields if name not in ("prompt", "model")},
    )

    @settings(max_examples=70, deadline=None, database=None, derandomize=True,
              suppress_health_check=list(HealthCheck))
    @given(fields, st.booleans())
    def held(given, starting):
        try:
            request = GenerationRequest(**given)
            engine.prepare(request, init_image=Image.new("RGB", (64, 64)) if starting else None)
        except (LatentryError, ValueError):
            pass

    held()
    print("held")
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory and processor time are set as on Linux")
def test_any_request_is_answered_within_little_memory_and_time(model: str) -> None:
    """70 requests of anything, in a process that may not grow by more than 256 MB, nor compute for over a minute."""
    tests = Path(__file__).parents[3] / "tests"
    done = subprocess.run(
        [sys.executable, "-c", dedent(FUZZ), model],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(tests), "OMP_NUM_THREADS": "1", "PATH": "", "HOME": "/nowhere"},
        check=False,
    )
    assert done.stdout == "held\n", done.stderr[-3000:]
