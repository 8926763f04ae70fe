"""``latentry generate``: a picture from a prompt, or again from a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from latentry._cli._asked import given_anew, request_fields
from latentry._cli._host import open_host
from latentry._cli._memory_options import BlocksPerGroup, Dtype, Offload, VaeSlicing, VaeTiling, Without
from latentry._cli._model_options import Config, Offline, Revision, TextEncoders, Texts, Tokenizer, Vae, Variant
from latentry._cli._progress import following
from latentry._cli._saving import check_output, report, writing
from latentry._errors import OptionError

if TYPE_CHECKING:
    from latentry._generate._engine import Engine
    from latentry._request._result import GenerationResult


def generate(
    context: typer.Context,
    prompt: Annotated[str | None, typer.Argument(help="What the picture shows.", show_default=False)] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Folder, file, installed name, or owner/name of the hub; without it the shipped one."),
    ] = None,
    variant: Variant = None,
    vae: Vae = None,
    text_encoders: TextEncoders = None,
    tokenizer: Tokenizer = None,
    config: Config = None,
    revision: Revision = None,
    offline: Offline = False,
    scheduler: Annotated[str | None, typer.Option(help="Sampler; see `latentry schedulers`.")] = None,
    scheduler_options: Annotated[
        Texts, typer.Option("--set", metavar="NAME=VALUE", help="Option of the sampler; repeatable.")
    ] = None,
    sigmas: Annotated[
        str | None, typer.Option(help="Sigma schedule (see `latentry sigmas`), or levels such as 14.6,3.1,0.7.")
    ] = None,
    sigma_options: Annotated[
        Texts, typer.Option("--sigma-set", metavar="NAME=VALUE", help="Option of the sigma schedule, e.g. shift=3.")
    ] = None,
    final: Annotated[str | None, typer.Option(help="Where the run ends: zero, or table (the least trained).")] = None,
    steps: Annotated[int | None, typer.Option(help="Steps of the sampler.")] = None,
    guidance: Annotated[float | None, typer.Option(help="Guidance scale; 1 is none.")] = None,
    guidance_rescale: Annotated[float, typer.Option(help="0 to 1: share brought back to the unguided spread.")] = 0.0,
    guidance_interval: Annotated[str | None, typer.Option(help="Guided steps, as shares of all: 0.2,0.8.")] = None,
    skip_layers: Annotated[str | None, typer.Option(help="Skip-layer guidance: layers to leave out: 7,8,9.")] = None,
    skip_layer_scale: Annotated[float | None, typer.Option(help="Its scale, 2.8 by default.")] = None,
    skip_layer_interval: Annotated[str | None, typer.Option(help="Its steps, 0.01,0.2 by default.")] = None,
    negative: Annotated[str, typer.Option(help="What the picture should not show.")] = "",
    conditioning: Annotated[
        Texts, typer.Option("--condition", metavar="NAME=VALUE", help="The model family's own option of prompts.")
    ] = None,
    refiner: Annotated[str | None, typer.Option(help="Model for the last steps; as for --model.")] = None,
    switch: Annotated[float, typer.Option(help="Share of the noise levels that come before the refiner's.")] = 0.8,
    loras: Annotated[
        Texts,
        typer.Option("--lora", metavar="FILE[:WEIGHT]", help="LoRA and how much of it, by default 1; repeatable."),
    ] = None,
    lora_mode: Annotated[
        str, typer.Option(help="unmerged computes LoRAs beside the layers, merged puts them into the weights.")
    ] = "unmerged",
    init_image: Annotated[str | None, typer.Option(help="Picture to begin from.")] = None,
    mask: Annotated[str | None, typer.Option(help="White where the picture is drawn anew; of its size.")] = None,
    strength: Annotated[float | None, typer.Option(help="How far from the picture, up to 1.")] = None,
    strength_mode: Annotated[
        str, typer.Option(help="cut takes that share of the steps, full takes all of them from that level on.")
    ] = "cut",
    seed: Annotated[int | None, typer.Option(help="Seed; without it one is drawn and recorded.")] = None,
    width: Annotated[int | None, typer.Option(help="Pixels; without it the model's own size.")] = None,
    height: Annotated[int | None, typer.Option(help="Pixels; without it the model's own size.")] = None,
    count: Annotated[int, typer.Option(help="How many pictures.")] = 1,
    batch: Annotated[int, typer.Option(help="How many of them go through the network together.")] = 4,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    dtype: Dtype = None,
    without: Without = None,
    offload: Offload = "none",
    blocks_per_group: BlocksPerGroup = 1,
    vae_tiling: VaeTiling = None,
    vae_slicing: VaeSlicing = False,
    attention: Annotated[
        str, typer.Option(help="Attention backends: flash; flash,auto; vae=sliced. See `latentry attention`.")
    ] = "auto",
    attention_options: Annotated[
        Texts,
        typer.Option(
            "--attention-set",
            metavar="NAME=VALUE",
            help="Option of the backend that is named; else sdpa.kernel=math.",
        ),
    ] = None,
    output: Annotated[Path, typer.Option(help="PNG to write; of several each gets a number.")] = Path("picture.png"),
    source: Annotated[
        Path | None,
        typer.Option("--from", help="PNG made by Latentry, to make again; pictures it began from may be given anew."),
    ] = None,
    anyway: Annotated[bool, typer.Option("--anyway", help="With --from: go on though versions differ.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no report.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Report as JSON.")] = False,
) -> None:
    """Draw pictures of a prompt, or one again with --from."""
    check_output(output)
    silent = quiet or as_json
    if source is not None:
        result = _again(context, source, anyway=anyway, silent=silent)
    else:
        result = _new(context, silent=silent)
    with writing(output):
        paths = result.save(output)
    report(result, paths, quiet=quiet, as_json=as_json)


def _new(context: typer.Context, *, silent: bool) -> GenerationResult:
    given = request_fields(context)
    if not given.get("prompt"):
        raise OptionError(
            "There is no prompt.", remedy='Give one, e.g. latentry generate "a red circle left of a blue square".'
        )
    from latentry._discovery._options import create
    from latentry._request._generation_request import GenerationRequest

    request: GenerationRequest = create("The request", GenerationRequest, given)
    engine = _engine(context)
    with following(silent=silent) as progress:
        return engine.generate(request, progress=progress)


def _again(context: typer.Context, source: Path, *, anyway: bool, silent: bool) -> GenerationResult:
    anew = given_anew(context)
    from latentry._request._recipe import read_recipe

    recipe = read_recipe(source)
    recipe = recipe.model_copy(update={"request": recipe.request.model_copy(update=anew)})
    engine = _engine(context)
    with following(silent=silent) as progress:
        return engine.reproduce(recipe, anyway=anyway, progress=progress)


def _engine(context: typer.Context) -> Engine:
    from latentry._discovery._options import create
    from latentry._generate._engine import Engine
    from latentry._request._memory_policy import MemoryPolicy

    typed = {name: context.params[name] for name in ("offload", "blocks_per_group")}
    return Engine(open_host(context), create("The memory policy", MemoryPolicy, typed))
