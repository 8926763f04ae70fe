"""Faults planted in the worked example of a family are found by the check that is for them, with what to change."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.distributions import CORE
from support.models import write_stable_diffusion

from latentry import PluginHost
from latentry.testing import KITS, CheckResult, FamilySubject

EXAMPLE = CORE.parent / "examples" / "swatches"
KIT = KITS["families"]
METHODS = "    @torch.no_grad()\n    def predict("
PREDICT = '        out: Tensor = self.denoiser(x, timestep_rows(timestep, x), conditioning["word"])\n        return out'
BUILD = "    def build(self)"
FAMILY, NETWORK, RECORD = "family.py", "network.py", "__init__.py"


@dataclass(frozen=True)
class Fault:
    """An edit of one place.

    Attributes:
        right: what stands there once.
        wrong: what is put in its place.
        caught: the check that must fail.
        file: where it stands.
    """

    right: str
    wrong: str
    caught: str
    file: str = FAMILY


def method(text: str) -> str:
    """A method more, before ``predict``."""
    return f"{text}\n{METHODS}"


def loading(lines: str, caught: str) -> Fault:
    """A ``load`` of its own in place of the base's."""
    imports = "        from latentry.models import LoadReport, load_weights\n"
    return Fault(BUILD, f"    def load(self, device, dtype, dtypes=None):\n{imports}{lines}\n\n{BUILD}", caught)


FAULTS = {
    "it ignores the prompt": Fault("self.word(word)[", "self.word(word * 0)[", "prompts", NETWORK),
    "it ignores the timestep": Fault("(timesteps / 1000)", "(timesteps * 0)", "timestep", NETWORK),
    "it rounds the timestep": Fault("(timesteps / 1000)", "(timesteps.long() / 1000)", "timestep", NETWORK),
    "positions are kept by the number of pixels": Fault(
        "        time = (timesteps / 1000)",
        '        kept = self.__dict__.setdefault("kept", {}).setdefault(height * width, place[:1])\n'
        "        place = kept.reshape(1, 2, height, width).expand_as(place)\n"
        "        time = (timesteps / 1000)",
        "denoise_tiles",
        NETWORK,
    ),
    "rows of a batch leak": Fault(
        "tokens = torch.cat([x, place, time], 1)",
        "tokens = torch.cat([x - x.mean(0), place, time], 1)",
        "batch",
        NETWORK,
    ),
    "the first row's timestep holds for all": Fault(
        "timestep_rows(timestep, x)", "timestep_rows(timestep, x)[:1].expand(len(x))", "rows"
    ),
    "a preview of one picture for all": Fault(
        METHODS,
        method("    def preview(self, latents):\n        return latents[:1].expand_as(latents)\n"),
        "preview",
    ),
    "one prompt for all rows": Fault(
        "[[0, *found][-1] for found in known]", "[[0, *known[0]][-1]] * len(known)", "batch"
    ),
    "attention is never restored": Fault(
        METHODS,
        method(
            "    def set_attention(self, backend, *, role=None):\n"
            "        import contextlib\n"
            "        super().set_attention(backend, role=role)\n"
            "        return contextlib.nullcontext()\n"
        ),
        "attention",
    ),
    "attention is restored, but not after an exception": Fault(
        METHODS,
        method(
            "    def set_attention(self, backend, *, role=None):\n"
            "        import contextlib\n"
            "        set_, ended = super().set_attention, contextlib.contextmanager\n"
            "        set_(backend, role=role)\n"
            "        @ended\n"
            "        def held():\n"
            "            yield\n"
            "            set_(None, role=role)\n"
            "        return held()\n"
        ),
        "attention",
    ),
    "no backend takes effect": Fault(
        "self.attention(q, k, v)", "nn.functional.scaled_dot_product_attention(q, k, v)", "attention", NETWORK
    ),
    "the backend is called with another scale": Fault(
        "self.attention(q, k, v)",
        "self.attention(q, k, v, scale=None if self.attention.backend is None else 1.0)",
        "attention",
        NETWORK,
    ),
    "any attention role is taken": Fault(
        METHODS,
        method("    def set_attention(self, backend, *, role=None):\n        return super().set_attention(backend)\n"),
        "attention_roles",
    ),
    "the last output is kept": Fault(
        PREDICT,
        '        out = self.denoiser(x, timestep_rows(timestep, x), conditioning["word"])\n'
        '        out, self.last = out + 0.01 * getattr(self, "last", 0.0), out\n        return out',
        "determinism",
    ),
    "it draws from torch's global generator": Fault(
        PREDICT, PREDICT.replace("return out", "return out + 1e-6 * torch.randn_like(out)"), "determinism"
    ),
    "it writes into the samples": Fault(PREDICT, f"        x.clamp_(-1.0, 1.0)\n{PREDICT}", "in_place"),
    "half precision comes out as float32": Fault(PREDICT, f"{PREDICT}.float()", "dtypes"),
    "it cannot run in half precision": Fault(
        "dtype=x.dtype, device=x.device) for side", "device=x.device) for side", "dtypes", NETWORK
    ),
    "the output has another shape": Fault(
        "return out.transpose(1, 2).reshape(x.shape)", "return out", "output", NETWORK
    ),
    "values that are not finite": Fault(PREDICT, f"{PREDICT} / (1.0 - out.new_ones(()))", "output"),
    "the weights are not loaded": loading(
        "        networks = self.build()\n        load_weights(self.files.path, self.build(), device, dtype)\n"
        "        networks['denoiser'].eval().requires_grad_(False)\n"
        "        return Model(self, networks, LoadReport(len(networks['denoiser'].state_dict())))",
        "weights",
    ),
    "one weight is set by the code": loading(
        "        found = super().load(device, dtype, dtypes)\n"
        "        torch.nn.init.zeros_(found.denoiser.enter.bias)\n        return found",
        "weights",
    ),
    "the report counts nothing": loading(
        "        found = super().load(device, dtype, dtypes)\n"
        "        found.report = LoadReport(0)\n        return found",
        "report",
    ),
    "the network is left in training mode": loading(
        "        found = super().load(device, dtype, dtypes)\n        found.denoiser.train()\n        return found",
        "report",
    ),
    "a damaged file is a traceback": loading(
        "        from safetensors.torch import load_file\n"
        "        self.build()['denoiser'].load_state_dict(load_file(self.files.path))\n"
        "        return super().load(device, dtype, dtypes)",
        "damage",
    ),
    "any size is taken": Fault(
        BUILD,
        f"    def latent_shape(self, width, height):\n        return 3, height, width\n\n{BUILD}",
        "sizes",
    ),
    "decoding mixes the pictures of a batch": Fault(
        METHODS, method("    def decode(self, latents):\n        return latents - latents.mean()\n"), "autoencoder"
    ),
    "latents of another size than it says": Fault(
        METHODS,
        method("    def encode(self, pixels, noise=None):\n        return pixels[..., ::2, ::2].float()\n"),
        "autoencoder",
    ),
    "the record has another process": Fault('process="flow"', 'process="vp"', "opening", RECORD),
    "parts of another name": Fault(
        "class Checkpoint(BaseCheckpoint):\n", 'class Checkpoint(BaseCheckpoint):\n    parts = ("unet",)\n\n', "opening"
    ),
    "torch in the record's module": Fault("from pathlib", "import torch\nfrom pathlib", "listing", RECORD),
    "torch in the detector": Fault(
        "    header = safetensors_header", "    import torch\n\n    header = safetensors_header", "detection", RECORD
    ),
    "no evidence": Fault('("its metadata names the family",)', "()", "detection", RECORD),
    "an unsure detector": Fault('("swatches",), 1.0,', '("swatches",), 0.3,', "detection", RECORD),
    "every file is its own": Fault(
        'if header is None or header.metadata.get("family") != "swatches"', "if header is None", "foreign", RECORD
    ),
    "a detector that fails on foreign files": Fault(
        'if header is None or header.metadata.get("family") != "swatches"',
        'if header.metadata["family"] != "swatches"',
        "foreign",
        RECORD,
    ),
    "a mask that it is not shown": Fault(
        'summary="16 by 16"', 'summary="16 by 16", tasks=("text-to-image", "inpainting")', "masks", RECORD
    ),
    "a guidance scale that it does not take": Fault(
        'summary="16 by 16"', 'summary="16 by 16", guidance_kind="distilled"', "guidance", RECORD
    ),
    "layers that it does not have": Fault(
        'summary="16 by 16"', 'summary="16 by 16", skip_layers=True', "opening", RECORD
    ),
    "an exemption without a reason": Fault(
        'process="flow",', 'process="flow",\n        exemptions=(("loras", " "),),', "spec", RECORD
    ),
    "an exemption from nothing": Fault(
        'process="flow",', 'process="flow",\n        exemptions=(("lora", "the network is small"),),', "spec", RECORD
    ),
    "LoRAs of any model match": Fault(
        BUILD,
        "    def match_loras(self, paths):\n        from latentry.models import LoraMatch\n"
        f"        return tuple(LoraMatch(path, self.parts, 4) for path in paths)\n\n{BUILD}",
        "loras",
    ),
    "LoRAs that stay": Fault(
        METHODS,
        method(
            "    def set_loras(self, loras, mode='unmerged'):\n"
            "        import contextlib\n"
            "        super().set_loras(loras, mode)\n"
            "        return contextlib.nullcontext()\n"
        ),
        "loras",
    ),
    "merged LoRAs are subtracted again": Fault(
        METHODS,
        method(
            "    def set_loras(self, loras, mode='unmerged'):\n"
            "        import contextlib\n"
            "        def less(sign):\n"
            "            before = {n: w.data.clone() for n, w in self.denoiser.named_parameters()}\n"
            "            with contextlib.ExitStack() as stack:\n"
            "                stack.enter_context(held(loras, 'merged'))\n"
            "                return {n: w.data - before[n] for n, w in self.denoiser.named_parameters()}\n"
            "        held = super().set_loras\n"
            "        if mode == 'unmerged':\n"
            "            return held(loras, mode)\n"
            "        @contextlib.contextmanager\n"
            "        def added():\n"
            "            change = less(1)\n"
            "            for name, weight in self.denoiser.named_parameters():\n"
            "                weight.data = weight.data + change[name]\n"
            "            try:\n"
            "                yield\n"
            "            finally:\n"
            "                for name, weight in self.denoiser.named_parameters():\n"
            "                    weight.data = weight.data - change[name]\n"
            "        return added()\n"
        ),
        "loras",
    ),
}


def planted(folder: Path, fault: Fault | None) -> FamilySubject:
    """The example with a fault, or without, as a loose plugin."""
    copy = Path(shutil.copytree(EXAMPLE, folder / "swatches", ignore=shutil.ignore_patterns("__pycache__")))
    if fault is not None:
        file = copy / fault.file
        text = file.read_text(encoding="utf-8")
        assert text.count(fault.right) == 1, "the line has changed: plant the fault anew"
        file.write_text(text.replace(fault.right, fault.wrong), encoding="utf-8")
    host = PluginHost(load=("latentry", "latentry-euler", "latentry-attention-sdpa"), plugin_dirs=[copy])
    assert host.problems == ()
    return FamilySubject.of("swatches", host=host)


def failed(subject: FamilySubject, check: str) -> list[CheckResult]:
    return [result for result in KIT.run(subject, check) if not result.passed]


@pytest.mark.parametrize("what", FAULTS)
def test_the_fault_is_found_and_the_message_says_what_to_change(tmp_path: Path, what: str) -> None:
    results = failed(planted(tmp_path, FAULTS[what]), FAULTS[what].caught)
    assert results
    assert all(len(result.hint) > 40 and result.measured for result in results)


def test_the_example_without_a_fault_passes_every_check(tmp_path: Path) -> None:
    subject = planted(tmp_path, None)
    assert [str(result) for check in KIT.checks for result in failed(subject, check)] == []


LIBRARY = """
from contextlib import nullcontext
from latentry import ModelFamilySpec, VariantSpec, hookimpl

@hookimpl
def latentry_model_families():
    yield ModelFamilySpec(
        name="planted", target="planted:opened", detector="latentry_sd.detect:detect",
        summary="For a test.", process="vp",
        variants=(VariantSpec(name="sd15", summary="For a test.", schedulers=("latentry-ddim:ddim",)),),
    )

def opened(files, variant):
    from latentry.models import Conditioning
    from latentry_sd.checkpoint import StableDiffusionCheckpoint, open_checkpoint

    class Planted(StableDiffusionCheckpoint):
        def load(self, *given):
            model = super().load(*given)
            {fault}
            return model

    right = open_checkpoint(files, variant)
    return Planted(right.bundle, right.variant, right.noise)
"""
OF_LIBRARIES = {
    "the text encoder is left in training mode": ("report", "model.text_encoder.train()"),
    "the autoencoder takes gradients": ("report", "model.vae.requires_grad_(True)"),
    "half precision is not kept": ("dtypes", "model.unet.float()"),
    "prompts of a batch touch": (
        "batch",
        "encode = model.encode_prompt\n"
        "            def mixed(prompts, settings):\n"
        "                text = encode(prompts, settings)['text']\n"
        "                return Conditioning({'text': text + text.mean(0)})\n"
        "            model.encode_prompt = mixed",
    ),
    "small sizes cannot be drawn": (
        "sizes",
        "predict = model.predict\n"
        "            model.predict = lambda x, *given, **more: predict(x[..., :8, :8], *given, **more)",
    ),
    "the text encoder keeps a backend": (
        "attention",
        "set_ = model.set_attention\n"
        "            def kept(backend, role=None):\n"
        "                set_(backend, role=role)\n"
        "                return set_(None, role='cross') if role is None else nullcontext()\n"
        "            model.set_attention = kept",
    ),
    "the autoencoder's attention is not served": (
        "attention_roles",
        "set_ = model.set_attention\n"
        "            model.set_attention = lambda backend, role=None: (\n"
        "                nullcontext() if role == 'vae' else set_(backend, role=role))",
    ),
    "an unknown role is all roles": (
        "attention_roles",
        "set_ = model.set_attention\n"
        "            model.set_attention = lambda backend, role=None: (\n"
        "                set_(backend, role=role if role in ('self', 'cross', 'vae', 'text') else None))",
    ),
    "an outer backend does not come back": (
        "attention",
        "set_ = model.set_attention\n"
        "            class Reset:\n"
        "                def __enter__(self): ...\n"
        "                def __exit__(self, *failure): set_(None)\n"
        "            model.set_attention = lambda backend, role=None: [set_(backend, role=role), Reset()][1]",
    ),
    "LoRAs are kept": (
        "loras",
        "set_ = model.set_loras; model.set_loras = lambda *given: [set_(*given), nullcontext()][1]",
    ),
    "LoRAs have no effect": ("loras", "model.set_loras = lambda *given: nullcontext()"),
    "one weight of a LoRA for all rows": (
        "loras",
        "weigh = model.weighing; model.weighing = lambda rows: weigh(rows[:1] * len(rows))",
    ),
    "tiles stay": (
        "tiling",
        "tile = model.autoencoder.tile\n"
        "            model.set_tiling = lambda side, slicing=False: [tile(16 if side else None), nullcontext()][1]",
    ),
}


@pytest.mark.parametrize("what", OF_LIBRARIES)
def test_a_fault_in_a_family_on_diffusers_is_found(tmp_path: Path, what: str) -> None:
    check, fault = OF_LIBRARIES[what]
    (tmp_path / "planted.py").write_text(LIBRARY.replace("{fault}", fault), encoding="utf-8")
    host = PluginHost(load=("latentry", "latentry-ddim"), plugin_dirs=[tmp_path / "planted.py"])
    models = {"sd15": write_stable_diffusion(tmp_path / "sd15")}
    assert failed(FamilySubject.of("planted", host=host, models=models), check)
    (tmp_path / "planted.py").write_text(LIBRARY.replace("{fault}", "pass"), encoding="utf-8")
    host = PluginHost(load=("latentry", "latentry-ddim"), plugin_dirs=[tmp_path / "planted.py"])
    assert failed(FamilySubject.of("planted", host=host, models=models), check) == []
