"""The nodes: one of all schedulers, one for each with fields for its options, and one of all sigma schedules."""

from __future__ import annotations

import json
from typing import Any

from latentry import OptionError, PluginHost
from latentry_bridge_comfyui._sampling import ComfySampler, laid_out
from latentry_bridge_k_diffusion import Field, form

CATEGORY = "sampling/latentry"


def nodes(host: PluginHost) -> list[type]:
    """All node classes."""
    made = [_any_sampler(host), _any_sigmas(host)]
    return [*made, *(_sampler(host, name) for name in host.schedulers)]


def sampler_object(name: str, options: dict[str, Any], host: PluginHost) -> Any:
    """ComfyUI's SAMPLER of a scheduler; wrong options are refused here, and not in the middle of a workflow."""
    from comfy.samplers import KSAMPLER

    host.schedulers.create(name, **options)
    return KSAMPLER(ComfySampler(host.schedulers.qualified(name), tuple(options.items())))


def _any_sampler(host: PluginHost) -> type:
    from comfy_api.latest import io

    class LatentrySampler(io.ComfyNode):  # type: ignore[misc]  # ComfyUI is not here when types are checked
        """Any scheduler, with its options as text."""

        @classmethod
        def define_schema(cls) -> Any:
            return io.Schema(
                node_id="LatentrySampler",
                display_name="Latentry sampler",
                category=CATEGORY,
                inputs=[
                    io.Combo.Input("scheduler", options=list(host.schedulers)),
                    io.String.Input("options", default="", tooltip='JSON, e.g. {"order": 3}', optional=True),
                ],
                outputs=[io.Sampler.Output()],
            )

        @classmethod
        def execute(cls, scheduler: str, options: str = "") -> Any:
            return io.NodeOutput(sampler_object(scheduler, _parsed(options), host))

    return LatentrySampler


def _sampler(host: PluginHost, name: str) -> type:
    from comfy_api.latest import io

    fields = form(name, host=host)

    class LatentryOneSampler(io.ComfyNode):  # type: ignore[misc]
        """One scheduler, with a field for each option."""

        @classmethod
        def define_schema(cls) -> Any:
            return io.Schema(
                node_id=f"LatentrySampler_{name.replace('-', '_').replace(':', '_')}",
                display_name=f"Latentry {name}",
                category=f"{CATEGORY}/schedulers",
                description=host.schedulers[name].summary,
                inputs=[_input(io, field) for field in fields],
                outputs=[io.Sampler.Output()],
            )

        @classmethod
        def execute(cls, **options: Any) -> Any:
            return io.NodeOutput(sampler_object(name, _given(fields, options), host))

    return LatentryOneSampler


def _any_sigmas(host: PluginHost) -> type:
    from comfy_api.latest import io

    class LatentrySigmas(io.ComfyNode):  # type: ignore[misc]
        """Any sigma schedule, on the levels of the model."""

        @classmethod
        def define_schema(cls) -> Any:
            return io.Schema(
                node_id="LatentrySigmas",
                display_name="Latentry sigmas",
                category=CATEGORY,
                inputs=[
                    io.Model.Input("model"),
                    io.Combo.Input("schedule", options=list(host.sigma_schedules)),
                    io.Int.Input("steps", default=20, min=1, max=5000),
                    io.Float.Input("denoise", default=1.0, min=0.01, max=1.0, step=0.01),
                    io.String.Input("options", default="", tooltip='JSON, e.g. {"rho": 5}', optional=True),
                ],
                outputs=[io.Sigmas.Output()],
            )

        @classmethod
        def execute(cls, model: Any, schedule: str, steps: int, denoise: float, options: str = "") -> Any:
            sampling = model.get_model_object("model_sampling")
            return io.NodeOutput(laid_out(schedule, sampling, steps, strength=denoise, **_parsed(options)))

    return LatentrySigmas


def _parsed(text: str) -> dict[str, Any]:
    """Options from JSON.

    Raises:
        OptionError: the text is something else.
    """
    try:
        found = json.loads(text or "{}")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise OptionError(f"{text!r} is not a JSON object.", remedy='Write options as {"name": value}.')
    return found


def _input(io: Any, field: Field) -> Any:
    """The control of an option. One that may be left open is a text, empty where it is."""
    about = {"tooltip": field.description, "optional": True}
    if field.optional or field.kind == "text":
        return io.String.Input(field.name, default="" if field.default is None else json.dumps(field.default), **about)
    if field.kind == "choice":
        return io.Combo.Input(field.name, options=list(field.choices), default=field.default, **about)
    if field.kind == "bool":
        return io.Boolean.Input(field.name, default=field.default, **about)
    bounds = {name: value for name, value in (("min", field.least), ("max", field.most)) if value is not None}
    if field.kind == "int":
        return io.Int.Input(field.name, default=field.default, **bounds, **about)
    return io.Float.Input(field.name, default=field.default, step=0.01, round=False, **bounds, **about)


def _given(fields: tuple[Field, ...], options: dict[str, Any]) -> dict[str, Any]:
    """The values of the controls as options; an empty text leaves its option as it is."""
    found = {}
    for field in fields:
        value = options.get(field.name, field.default)
        if isinstance(value, str) and (field.optional or field.kind == "text"):
            if not value:
                continue
            value = _json(value)
        found[field.name] = value
    return found


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
