"""A server whose pictures are drawn by two replicas of Ray Serve is the server of one process."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image
from support.toy import PLUGIN, write_toy

from latentry import (
    Drawn,
    Ended,
    Engine,
    GenerationRequest,
    IncompatibleError,
    JobCancelled,
    OptionError,
    PluginHost,
    Policy,
    ResourceError,
    UnknownName,
)
from latentry.batches import BatchSettings, ServingExecutor

ray = pytest.importorskip("ray")
pytest.importorskip("ray.serve", reason="Ray Serve is not installed")
from ray import serve  # noqa: E402

from latentry_ray.cluster import start  # noqa: E402
from latentry_ray.replica import Taken  # noqa: E402
from latentry_ray.serving import CONTROLLER, RemoteEngine, RemoteJob, replicas  # noqa: E402

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # of Ray
]
LONG = 120.0
TRIES = 20
"""Of twelve requests each; where replicas are taken by chance, one in two thousand is right."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_toy(folder / "toy", rows=True)
    write_toy(folder / "other", rows=True)
    return folder


@pytest.fixture(scope="module")
def engine(models: Path) -> Iterator[RemoteEngine]:
    """Two replicas on a cluster of this machine."""
    policy = replace(Policy.network(), roots=(models,))
    settings = BatchSettings(plugin_dirs=(PLUGIN,), workers=2, policy=policy)
    executor = PluginHost().executors.create("ray")
    assert isinstance(executor, ServingExecutor)
    start(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        runtime_env={"env_vars": {"PYTHONPATH": str(PLUGIN.parents[2]), "OMP_NUM_THREADS": "1"}},
    )
    try:
        with executor.served(settings) as found:
            assert isinstance(found, RemoteEngine)
            yield found
        assert CONTROLLER not in ray.util.list_named_actors(all_namespaces=True)  # started here, and left by all
    finally:
        ray.shutdown()


def wanted(models: Path, model: str = "toy", **fields: Any) -> GenerationRequest:
    return GenerationRequest(**({"prompt": "a", "model": str(models / model), "steps": 3, "seed": 1} | fields))


def followed(job: RemoteJob, then: Callable[[Any], None] = lambda event: None) -> list[Any]:
    """All events of a job; something is done at each."""

    async def follow() -> list[Any]:
        found = []
        async for event in job.aevents():
            found.append(event)
            then(event)
        return found

    return asyncio.run(asyncio.wait_for(follow(), LONG))


def test_pictures_are_those_of_one_process(engine: RemoteEngine, models: Path) -> None:
    here = Engine(PluginHost(plugin_dirs=[PLUGIN]))
    for number, scheduler in enumerate(("first", "noisy", "two-stage")):
        request = wanted(models, scheduler=scheduler, seed=number, count=3, batch=2)
        job, own = engine.submit(request), here.generate(request)
        events = followed(job)
        assert events[-1].state == "done", events[-1].error
        assert [len(event.result.images) for event in events if isinstance(event, Drawn)] == [2, 1]
        found = job.result()
        assert torch.equal(found.latents, own.latents)
        assert found.recipes == own.recipes
        assert [found.parameters(each) for each in found.recipes] == [own.parameters(each) for each in own.recipes]


def test_requests_go_where_their_model_is(engine: RemoteEngine, models: Path) -> None:
    """One request after another, so that both replicas are always free."""
    order = [("toy", "other")[number * number % 3 % 2] for number in range(12)]

    def place(model: str) -> str:
        job = engine.submit(wanted(models, model))
        followed(job)
        return job.replica

    for _ in range(TRIES):  # Ray's router learns from time to time which replica has which model
        places = [(model, place(model)) for model in order]
        if len(set(places)) == len({replica for _, replica in places}) == 2:
            break
    else:
        pytest.fail(f"Requests for two models do not settle on a replica each: {places}")
    toy, other = (str(models / model) for model in ("toy", "other"))
    assert sorted(resident.name for resident in engine.loaded()) == sorted((toy, other))
    assert engine.unload(toy) >= 0
    assert [resident.name for resident in engine.loaded()] == [other]
    with pytest.raises(UnknownName):
        engine.unload(toy)


def test_jobs_end_as_they_are_asked_to(engine: RemoteEngine, models: Path) -> None:
    """From another machine's point of view: kept, dropped, and paused and resumed to the same pictures."""
    long = wanted(models, steps=150, count=8, batch=1)
    whole = engine.submit(long)
    followed(whole)

    def at_the_first(what: Callable[[], object]) -> Callable[[Any], None]:
        def look(event: Any) -> None:
            if isinstance(event, Drawn):
                what()

        return look

    kept = engine.submit(long)
    assert followed(kept, at_the_first(lambda: kept.cancel(keep=True)))[-1].state == "done"
    assert 1 <= len(kept.result().images) < 8
    dropped = engine.submit(long)
    ended = followed(dropped, at_the_first(dropped.cancel))[-1]
    assert (ended.state, type(ended.error)) == ("cancelled", JobCancelled)
    paused, state = engine.submit(long), list[Future[bytes]]()
    with ThreadPoolExecutor(1) as pool:

        def pause() -> None:
            if not state:
                state.append(pool.submit(paused.pause, LONG))

        assert followed(paused, at_the_first(pause))[-1].state == "paused"
        resumed = engine.resume(state[0].result(LONG))
    assert followed(resumed)[-1].state == "done"
    assert torch.equal(resumed.result().latents, whole.result().latents)
    assert resumed.request.prompt == "a"


def test_what_cannot_be_drawn_is_told(engine: RemoteEngine, models: Path) -> None:
    """At once where it is known here; else by the replica, and the error is the one that it raised."""
    with pytest.raises(OptionError):
        engine.prepare(wanted(models, steps=3, scheduler_options={"nothing": 1}))
    ended = followed(engine.submit(wanted(models, device="cuda:7")))[-1]
    assert ended.state == "failed"
    assert isinstance(ended.error, ResourceError)
    assert ended.error.field == "device"


def test_why_a_job_cannot_be_paused_is_told() -> None:
    """As by a job of this process: the reason where it could not be saved, else what became of it."""

    class Handle:
        def broadcast(self, *given: Any) -> SimpleNamespace:
            return SimpleNamespace(results=lambda timeout_s: [True])

    def refused(last: Ended) -> IncompatibleError:
        async def told() -> AsyncIterator[Any]:
            yield Taken("one")
            yield last

        job = RemoteJob("job", GenerationRequest(prompt="a"), told(), Handle())
        assert followed(job) == [last]
        with pytest.raises(IncompatibleError) as raised:
            job.pause(0)
        return raised.value

    reason = IncompatibleError("A job whose noise is the program's cannot be saved.")
    assert refused(Ended("failed", reason)) is reason
    assert "it is failed" in str(refused(Ended("failed", ResourceError("Memory ran out."))))
    assert "it is done" in str(refused(Ended("done")))


def test_a_replica_that_is_killed_fails_its_jobs_and_comes_back(engine: RemoteEngine, models: Path) -> None:
    job, before, killed = engine.submit(wanted(models, steps=150, count=16, batch=1)), actors(), set[str]()

    def kill(event: Any) -> None:
        if isinstance(event, Drawn):
            (actor,) = (each for each in ray.util.list_named_actors(True) if job.replica in each["name"])
            killed.add(actor["name"])
            ray.kill(ray.get_actor(actor["name"], actor["namespace"]), no_restart=False)

    ended = followed(job, kill)[-1]
    assert (ended.state, type(ended.error)) == ("failed", ResourceError)
    assert followed(engine.submit(wanted(models)))[-1].state == "done"
    until(lambda: not killed & actors() and len(actors()) == len(before), "as many replicas as before")
    until(lambda: set(applications().values()) == {"RUNNING"}, "applications that run")


def test_others_of_the_cluster_go_on(engine: RemoteEngine, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program's application, and the replicas of another server, when one is left with Ctrl-C."""

    class Idle:
        def __init__(self, *given: Any) -> None:
            pass

    monkeypatch.setattr("latentry_ray.serving.multiplexed", lambda kept: Idle)
    monkeypatch.setattr("latentry_ray.serving.resources", lambda: {"num_cpus": 0})
    serve.run(serve.deployment(Idle, ray_actor_options={"num_cpus": 0}).bind(), name="other", route_prefix=None)
    try:
        before, running = applications(), actors()
        assert set(before.values()) == {"RUNNING"}
        with pytest.raises(KeyboardInterrupt), replicas(BatchSettings(workers=1)):
            assert len(applications()) == len(before) + 1
            raise KeyboardInterrupt
        until(lambda: applications() == before, "the applications of before")
        until(lambda: actors() == running, "the same actors, none ended and replaced")
    finally:
        serve.delete("other")


def applications() -> dict[str, str]:
    return {name: found.status.value for name, found in serve.status().applications.items()}


def actors() -> set[str]:
    return {each["name"] for each in ray.util.list_named_actors(all_namespaces=True)}


def until(ready: Callable[[], bool], what: str) -> None:
    """Waits for what Ray does in its own time, which is long on a busy machine; fails by its name."""
    end = time.monotonic() + LONG
    while not ready():
        assert time.monotonic() < end, f"waited {LONG:.0f} s for {what}"
        time.sleep(0.2)


@contextmanager
def _serving(models: Path, engine: RemoteEngine) -> Iterator[Any]:
    pytest.importorskip("latentry_server")
    from support.serving import serving

    with serving(models, engine) as found:
        yield found


def test_the_server_is_the_same(engine: RemoteEngine, models: Path) -> None:
    """Each interface, its limits, events, previews, and a job that is cancelled and one that is paused."""
    with _serving(models, engine) as server:
        body: dict[str, Any] = {"prompt": "a", "n": 2, "latentry": {"steps": 3, "seed": 7}}
        answer = server.ask("POST", "/v1/images/generations", json=body)
        assert answer.status_code == 200, answer.text
        own = Engine(PluginHost(plugin_dirs=[PLUGIN])).generate(wanted(models, seed=7, count=2))
        for one, image in zip(answer.json()["data"], own.images, strict=True):
            with Image.open(BytesIO(base64.b64decode(one["b64_json"]))) as picture:
                assert picture.tobytes() == image.tobytes()
        drawn = server.ask("POST", "/sdapi/v1/txt2img", json={"prompt": "a", "steps": 3, "width": 64, "height": 64})
        assert len(drawn.json()["images"]) == 1
        refused = server.ask("POST", "/v1/images/generations", json={"prompt": "a", "latentry": {"steps": 10_000}})
        assert refused.status_code == 403
        job = server.job(steps=150)
        kinds = [event["event"] for event in server.events(job["id"])]
        assert {"queued", "started", "preview", "drawn"} <= set(kinds)
        assert kinds[-1] == "ended"
        long = server.job(steps=150, count=16, batch=1)
        for event in server.each_event(long["id"]):
            if event["event"] == "drawn":
                break
        paused = server.ask("POST", f"/latentry/v1/jobs/{long['id']}/pause")
        assert paused.status_code == 200, paused.text
        again = server.ask("POST", "/latentry/v1/jobs/resume", json={"state": paused.json()["state"]}).json()
        server.ask("DELETE", f"/latentry/v1/jobs/{again['id']}")
        assert server.events(again["id"])[-1]["state"] == "cancelled"
        assert "toy" in {one["name"] for one in server.ask("GET", "/latentry/v1/models").json()["loaded"]}
        assert b"latentry_model_bytes" in server.ask("GET", "/metrics").content
