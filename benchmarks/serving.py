"""Many clients at one server: how long they wait, and whether anything is lost.

    python benchmarks/serving.py --clients 50 --seconds 60

Each client asks for one small picture after another, by OpenAI's interface, AUTOMATIC1111's or the server's own. A
client that is told to ask later (429) waits and asks again.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections import Counter
from typing import Any

import httpx

WAYS = ("openai", "automatic1111", "latentry")


def main() -> None:
    """Starts a server, lets the clients ask, and prints what they found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--port", type=int, default=7961)
    parser.add_argument("--queue", type=int, default=64)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    command = [sys.executable, "-m", "latentry", "serve", "--port", str(given.port), "--queue", str(given.queue)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment) as server:
        try:
            found = asyncio.run(_ask(given))
        finally:
            server.terminate()
    print(json.dumps(found, indent=2) if given.json else "\n".join(f"{name}: {value}" for name, value in found.items()))


async def _ask(given: argparse.Namespace) -> dict[str, Any]:
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{given.port}", timeout=600, limits=limits) as client:
        await _ready(client)
        await _picture(client, "openai", given.steps, Counter())  # the model is loaded
        waits, answers, end = list[float](), Counter[str](), time.monotonic() + given.seconds

        async def one(number: int) -> None:
            while time.monotonic() < end:
                began = time.monotonic()
                await _picture(client, WAYS[number % len(WAYS)], given.steps, answers)
                waits.append(time.monotonic() - began)

        await asyncio.gather(*(one(number) for number in range(given.clients)))
    cuts = statistics.quantiles(waits, n=100)
    return {
        "clients": given.clients,
        "pictures": len(waits),
        "lost": answers["lost"],
        "asked again (429)": answers["later"],
        "p50 in seconds": round(cuts[49], 2),
        "p99 in seconds": round(cuts[98], 2),
        "longest in seconds": round(max(waits), 2),
    }


async def _ready(client: httpx.AsyncClient) -> None:
    while True:
        try:
            await client.get("/health")
            return
        except httpx.TransportError:
            await asyncio.sleep(0.2)


async def _picture(client: httpx.AsyncClient, way: str, steps: int, answers: Counter[str]) -> None:
    """One picture, however often it has to be asked for."""
    while True:
        answer = await _by(client, way, steps)
        if answer.status_code == 429:
            answers["later"] += 1
            await asyncio.sleep(0.5)
            continue
        answers["drawn" if answer.is_success else "lost"] += 1
        return


async def _by(client: httpx.AsyncClient, way: str, steps: int) -> httpx.Response:
    prompt = "a red circle left of a blue square"
    if way == "openai":
        body: dict[str, Any] = {"prompt": prompt, "latentry": {"steps": steps}}
        return await client.post("/v1/images/generations", json=body)
    if way == "automatic1111":
        return await client.post("/sdapi/v1/txt2img", json={"prompt": prompt, "steps": steps, "sampler_name": "Euler"})
    taken = await client.post("/latentry/v1/jobs", json={"request": {"prompt": prompt, "steps": steps}})
    if not taken.is_success:
        return taken
    job = taken.json()["id"]
    async with client.stream("GET", f"/latentry/v1/jobs/{job}/events") as events:
        async for _ in events.aiter_lines():
            pass
    return await client.get(f"/latentry/v1/jobs/{job}/images/0.png")


if __name__ == "__main__":
    main()
