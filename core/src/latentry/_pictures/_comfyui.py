"""ComfyUI's graphs: ``prompt`` as its API takes it, and ``workflow`` as its editor saves it.

``prompt`` maps each node's id to its ``class_type`` and its ``inputs``, where ``[id, slot]`` stands for another node's
output. The settings are those of the sampler that the saved picture comes from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from latentry._pictures._settings import ForeignSettings, real, text, whole

Node = Mapping[str, Any]
Graph = Mapping[str, Node]
DEEPEST = 64
"""Links that are followed from a node."""
SAMPLERS = ("KSampler", "KSamplerAdvanced", "SamplerCustom", "SamplerCustomAdvanced")
LOADERS = {
    "CheckpointLoaderSimple": "ckpt_name",
    "CheckpointLoader": "ckpt_name",
    "UNETLoader": "unet_name",
    "UnetLoaderGGUF": "unet_name",
}
WIDGETS = {
    "KSampler": ("seed", "control", "steps", "cfg", "sampler_name", "scheduler", "denoise"),
    "KSamplerAdvanced": ("add_noise", "noise_seed", "control", "steps", "cfg", "sampler_name", "scheduler"),
    "CheckpointLoaderSimple": ("ckpt_name",),
    "UNETLoader": ("unet_name",),
    "CLIPTextEncode": ("text",),
    "EmptyLatentImage": ("width", "height"),
    "EmptySD3LatentImage": ("width", "height"),
    "LoraLoader": ("lora_name", "strength_model"),
    "LoraLoaderModelOnly": ("lora_name", "strength_model"),
    "FluxGuidance": ("guidance",),
    "CLIPSetLastLayer": ("stop_at_clip_layer",),
    "KSamplerSelect": ("sampler_name",),
    "BasicScheduler": ("scheduler", "steps", "denoise"),
    "RandomNoise": ("noise_seed",),
    "CFGGuider": ("cfg",),
    "SaveImage": ("filename_prefix",),
}
"""What an editor's nodes keep in ``widgets_values``, by place: only their names are left out there."""


def read_prompt(content: Any) -> ForeignSettings | None:
    """The settings of a graph as the API takes it."""
    if not isinstance(content, dict):
        return None
    graph = {
        str(name): node
        for name, node in content.items()
        if isinstance(node, dict) and isinstance(node.get("class_type"), str) and isinstance(node.get("inputs"), dict)
    }
    return _settings(graph) if graph else None


def read_workflow(content: Any) -> ForeignSettings | None:
    """The settings of a graph as the editor saves it, of whose nodes only well-known ones are understood."""
    nodes, links = (content.get(name) for name in ("nodes", "links")) if isinstance(content, dict) else (None, None)
    if not isinstance(nodes, list) or not isinstance(links, list):
        return None
    ends = {each[0]: each[1:3] for each in links if isinstance(each, list) and len(each) >= 5 and _plain(each[0])}
    graph: dict[str, Node] = {}
    for node in nodes:
        if isinstance(node, dict) and isinstance(node.get("type"), str) and _plain(node.get("id")):
            graph[str(node["id"])] = {"class_type": node["type"], "inputs": _inputs(node, ends)}
    return _settings(graph) if graph else None


def _inputs(node: Node, ends: Mapping[Any, Any]) -> dict[str, Any]:
    values = node.get("widgets_values")
    names = WIDGETS.get(node["type"], ())
    inputs: dict[str, Any] = dict(zip(names, values, strict=False)) if isinstance(values, list) else {}
    sockets = node.get("inputs")
    for socket in sockets if isinstance(sockets, list) else []:
        if isinstance(socket, dict) and isinstance(socket.get("name"), str) and socket.get("link") in ends:
            inputs[socket["name"]] = ends[socket["link"]]
    return inputs


def _settings(graph: Graph) -> ForeignSettings | None:
    samplers = [name for name, node in graph.items() if node["class_type"] in SAMPLERS]
    if not samplers:
        return None
    chosen = _saved(graph, samplers)
    several = f"Its graph has {len(samplers)} samplers; the settings are those of the last one."
    above = [graph[name] for name in (chosen, *_above(graph, chosen))]
    found = _merged(above)
    texts = {role: _text(graph, graph[chosen]["inputs"].get(role)) for role in ("positive", "negative")}
    if not any(texts.values()):  # custom sampling has them behind a guider
        guider = next((node for node in above if node["class_type"] in ("CFGGuider", "BasicGuider")), None)
        inputs = guider["inputs"] if guider else {}
        texts = {
            "positive": _text(graph, inputs.get("positive", inputs.get("conditioning"))),
            "negative": _text(graph, inputs.get("negative")),
        }
    strength = real(found.get("denoise"))
    layer = whole(found.get("stop_at_clip_layer"))
    return ForeignSettings(
        program="ComfyUI",
        prompt=texts["positive"],
        negative=texts["negative"],
        steps=whole(found.get("steps")),
        sampler=text(found.get("sampler_name")),
        schedule=text(found.get("scheduler")),
        guidance=real(found.get("guidance", found.get("cfg"))),
        seed=whole(found.get("seed", found.get("noise_seed"))),
        width=whole(found.get("width")),
        height=whole(found.get("height")),
        model=next((text(node["inputs"].get(LOADERS[node["class_type"]])) for node in above if _loads(node)), ""),
        strength=strength if strength is not None and strength < 1.0 else None,
        clip_skip=None if layer is None else max(-layer - 1, 0),  # there −1 is the last layer
        loras=tuple(_loras(above)),
        rest=dict.fromkeys(sorted(_unknown(above)), "a node that is not understood"),
        unsure=(several,) if len(samplers) > 1 else (),
    )


def _saved(graph: Graph, samplers: list[str]) -> str:
    """The sampler that a saved picture comes from; where that does not show, the one no other sampler follows."""
    for name, node in graph.items():
        if node["class_type"] in ("SaveImage", "PreviewImage"):
            for other in _above(graph, name):
                if other in samplers:
                    return other
    before = {other for name in samplers for other in _above(graph, name)}
    return next((name for name in samplers if name not in before), samplers[-1])


def _above(graph: Graph, name: str) -> Iterator[str]:
    """The nodes that a node's inputs come from, the nearest first."""
    seen, level = {name}, [name]
    for _ in range(DEEPEST):
        found = []
        for each in level:
            for value in graph[each]["inputs"].values():
                if (other := _link(value)) in graph and other not in seen:
                    seen.add(other)
                    found.append(other)
        yield from found
        if not (level := found):
            return


def _link(value: Any) -> str:
    return str(value[0]) if isinstance(value, list) and len(value) == 2 and _plain(value[0]) else ""


def _text(graph: Graph, link: Any) -> str:
    """The text behind a link to conditioning."""
    name = _link(link)
    if name not in graph:
        return ""
    for each in (name, *_above(graph, name)):
        inputs = graph[each]["inputs"]
        for key in ("text", "t5xxl", "text_g", "value", "string"):
            if isinstance(inputs.get(key), str) and inputs[key]:
                return str(inputs[key])
    return ""


def _merged(nodes: list[Node]) -> dict[str, Any]:
    """The plain inputs of nodes; those of nearer ones count first."""
    found: dict[str, Any] = {}
    for node in reversed(nodes):
        found |= {name: value for name, value in node["inputs"].items() if _plain(value)}
    return found


def _loras(nodes: list[Node]) -> Iterator[tuple[str, float]]:
    for node in nodes:
        if node["class_type"] in ("LoraLoader", "LoraLoaderModelOnly"):
            weight = real(node["inputs"].get("strength_model"))
            yield text(node["inputs"].get("lora_name")), 1.0 if weight is None else weight


def _unknown(nodes: list[Node]) -> set[str]:
    known = {*SAMPLERS, *LOADERS, *WIDGETS, "VAELoader", "VAEDecode", "CLIPLoader", "DualCLIPLoader", "BasicGuider"}
    return {node["class_type"] for node in nodes} - known


def _loads(node: Node) -> bool:
    return node["class_type"] in LOADERS


def _plain(value: Any) -> bool:
    return isinstance(value, (str, int, float)) and not isinstance(value, bool)
