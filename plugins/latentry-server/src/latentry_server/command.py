"""``latentry serve``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from latentry import IncompatibleError, PluginHost, Policy
from latentry.commands import batch_settings, complete_names

if TYPE_CHECKING:
    from latentry.batches import BatchSettings, ServedEngine

LIMITS = ("pixels", "count", "steps", "prompt", "batch", "loras")
DEFAULT = Policy.network()


def _limit(name: str, what: str) -> click.Option:
    words = f"Maximum {what}; 0 for no limit."
    return click.Option(
        [f"--max-{name}"], type=click.IntRange(min=0), default=getattr(DEFAULT, name), show_default=True, help=words
    )


@click.command(context_settings={"show_default": True})
@click.option("--host", default="127.0.0.1", help="Address to listen on; 0.0.0.0 for all.")
@click.option("--port", default=7860, type=click.IntRange(0, 65535), help="Port to listen on; 0 for a free one.")
@click.option("--model", help="Model for requests that name none.")
@click.option(
    "--models",
    "roots",
    multiple=True,
    type=click.Path(path_type=Path, file_okay=False, exists=True, resolve_path=True),
    help="Folder of models, LoRAs and embeddings that clients may use; repeatable.",
)
@click.option("--source", "sources", multiple=True, metavar="OWNER/*", help="Names that may be downloaded; repeatable.")
@click.option("--key", "keys", multiple=True, envvar="LATENTRY_KEYS", help="Key that requests must have; repeatable.")
@click.option(
    "--cors", "origins", multiple=True, metavar="ORIGIN", help="Origin whose pages may call the server; repeatable."
)
@click.option("--queue", default=64, type=click.IntRange(min=1), help="Maximum number of queued and running jobs.")
@click.option("--history", default=100, type=click.IntRange(min=1), help="Number of finished jobs to keep.")
@click.option("--previews", default=1, type=click.IntRange(min=0), help="Steps between previews; 0 for none.")
@click.option("--budget", type=click.IntRange(min=1), metavar="MEGABYTES", help="Memory for the weights of models.")
@click.option("--offload", default="none", type=click.Choice(("none", "model", "blocks")), help="See Memory.")
@click.option("--batch-invariant", is_flag=True, help="The same bits in any company: requests share no passes.")
@click.option(
    "--executor",
    default="local",
    shell_complete=complete_names("executors"),
    help="Where engines are: local, or those of a plugin, e.g. ray.",
)
@click.option("--workers", type=click.IntRange(min=1), help="Engines of the executor; its own choice if not given.")
@click.pass_context
def serve(
    context: click.Context,
    /,
    roots: tuple[Path, ...],
    sources: tuple[str, ...],
    keys: tuple[str, ...],
    origins: tuple[str, ...],
    queue: int,
    history: int,
    previews: int,
    budget: int | None,
    offload: Literal["none", "model", "blocks"],
    batch_invariant: bool,
    executor: str,
    workers: int | None,
    model: str | None,
    port: int,
    **rest: object,
) -> None:
    """Serve pictures over HTTP: a page, and the interfaces of OpenAI and AUTOMATIC1111.

    Clients can use installed models, and those in the folders of --models. What they may ask for is limited.
    """
    import uvicorn

    from latentry_server.app import create_app
    from latentry_server.logs import log, write_lines
    from latentry_server.settings import Settings

    limits: dict[str, Any] = {name: rest[f"max_{name}"] or None for name in LIMITS}
    policy = replace(DEFAULT, roots=roots, sources=sources, downloads=bool(sources), **limits)
    megabytes = None if budget is None else budget * 2**20
    engines = batch_settings(
        context,
        memory={"offload": offload},
        workers=workers,
        policy=policy,
        budget=megabytes,
        batch_invariant=batch_invariant,
    )
    settings = Settings(policy, frozenset(keys), origins, queue, history, previews, model=model)
    write_lines()
    address = str(rest["host"])
    if not keys and address not in ("127.0.0.1", "localhost", "::1"):
        log("open to everybody", remedy="Give a key with --key.")
    with _engine(context.obj, executor, engines) as engine:
        click.echo(f"Latentry is at http://{address}:{port}/", err=True)
        uvicorn.run(create_app(engine, settings), host=address, port=port, log_config=None, access_log=False)


@contextmanager
def _engine(host: PluginHost, name: str, settings: BatchSettings) -> Iterator[ServedEngine]:
    """One in this process, or what an executor has in its place.

    Raises:
        IncompatibleError: the executor is for batches alone.
    """
    from latentry.batches import ServingExecutor

    executor = host.executors.create(name)
    if not isinstance(executor, ServingExecutor):
        raise IncompatibleError(
            f"The executor {name!r} draws batches, but does not serve.", remedy="Name another, or leave it out."
        )
    with executor.served(settings) as engine:
        yield engine


serve.params += [
    _limit("pixels", "pixels of a picture"),
    _limit("count", "pictures of a request"),
    _limit("steps", "steps"),
    _limit("prompt", "characters of prompts"),
    _limit("batch", "pictures of a batch"),
    _limit("loras", "LoRAs"),
]
