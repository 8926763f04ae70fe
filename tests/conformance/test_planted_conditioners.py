"""Faults planted in a conditioner and in an installed control are found by the check that is for them."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.models import write_stable_diffusion

from latentry import ControlSpec, PluginHost
from latentry.testing import KITS, CheckResult, ConditionerSubject, Pair, PlainSubject

pytestmark = pytest.mark.slow

RECORD = """
from pathlib import Path
from latentry import ConditionerSpec, ControlSpec, Detection, hookimpl

FILE = Path(__file__).parent / "grey.safetensors"

@hookimpl
def latentry_conditioners():
    yield ConditionerSpec(
        name="grey", target="planted.code:opened", detector="planted:detect", summary="For a test.",
        families=("latentry-sd:sd",),
    )

@hookimpl
def latentry_controls():
    yield ControlSpec(
        name="grey-net", target="planted:weights", summary="For a test.", conditioner="planted:grey",
        licence="Apache-2.0",
    )

def weights():
    return FILE

def detect(files):
    from latentry.models import safetensors_header
    header = safetensors_header(files.path)
    if header is None or "gain" not in header.shapes:
        return None
    return Detection(("grey",), 0.95, ("it has a gain",), label="Grey")
"""
CODE = """
import torch
from safetensors.torch import load_file
from latentry.conditioners import BaseConditioner

def opened(files, family, base):
    return Grey(load_file(files.path)["gain"])

class Gain(torch.nn.Module):
    def __init__(self, gain):
        super().__init__()
        self.factor = torch.nn.Parameter(gain)

    def forward(self, level):
        return self.factor * level

class Network(torch.nn.Module):
    def __init__(self, gain):
        super().__init__()
        self.blocks = torch.nn.ModuleList([Gain(gain)])

    def forward(self, level):
        for block in self.blocks:
            level = block(level)
        return level

class Grey(BaseConditioner):
    def __init__(self, gain):
        self.gain, self.network = 1.0, Network(gain)
        self.networks = {"grey": self.network}

    def prepare(self, model, picture, options, number):
        channels = model.networks["unet"].config.block_out_channels[-1]
        level = self.network(picture.abs().mean()) * torch.linspace(-3, 3, channels).view(1, -1, 1, 1)
        def inject(query):
            push = level * query.x.abs().mean((1, 2, 3), keepdim=True)
            return {"mid": query.weight * push}
        return inject
"""
BLOCK = "level = block(level)"
PUSH, INJECTED = "push = level *", '{"mid": query.weight * push}'
MEAN = "query.x.abs().mean((1, 2, 3), keepdim=True)"
CONDITIONERS = {
    "torch in the record's module": ("listing", "from pathlib", "import torch\nfrom pathlib"),
    "a family without injection points": ("spec", '("latentry-sd:sd",)', '("latentry-z-image:z-image",)'),
    "an exemption without a reason": (
        "spec",
        '("latentry-sd:sd",)',
        '("latentry-sd:sd",), exemptions=(("batch", ""),)',
    ),
    "files that it does not know": ("detection", '"gain" not in', '"loss" not in'),
    "an unsure detector": ("detection", "0.95", "0.4"),
    "every file is its own": (
        "detection",
        'if header is None or "gain" not in header.shapes:\n        return None',
        "del header",
    ),
    "a point that the family does not have": ("points", '{"mid"', '{"middle"'),
    "more rows than there are": ("points", INJECTED, '{"mid": (query.weight * push)[[0, 0, 0]]}'),
    "values that are not finite": ("points", PUSH, "push = float('nan') *"),
    "no effect": ("points", INJECTED, "{}"),
    "a change that no norm lets through": ("points", "torch.linspace(-3, 3, channels)", "0.0 * torch.ones(channels)"),
    "a weight that it leaves out": ("points", "query.weight * push", "push"),
    "a mean over the batch": ("batch", MEAN, "query.x.abs().mean()"),
    "the first row's for all": ("batch", MEAN, f"{MEAN}[:1]"),
    "a mask that it says it heeds": (
        "masks",
        'families=("latentry-sd:sd",),',
        'families=("latentry-sd:sd",), own_mask=True,',
    ),
    "state from one evaluation to the next": (
        "repeatable",
        PUSH,
        "self.gain = self.gain + 1\n            push = self.gain * level *",
    ),
    "a draw from torch's global generator": ("repeatable", PUSH, "push = torch.rand(()) * level *"),
    "a block's forward, called past the block": ("offload", BLOCK, "level = block.forward(level)"),
    "a block's weight, read past the block": ("offload", BLOCK, "level = block.factor * level"),
    "a weight, read past its network": (
        "offload",
        "self.network(picture.abs().mean())",
        "self.network.blocks[0].factor * picture.abs().mean()",
    ),
    "it writes into the samples": ("repeatable", PUSH, "query.x.mul_(0.5)\n            push = level *"),
}
CONTROL = 'conditioner="planted:grey",'
CONTROLS = {
    "torch to say where the files are": ("listing", "from pathlib", "import torch\nfrom pathlib"),
    "a conditioner that is not there": ("spec", CONTROL, 'conditioner="planted:gray",'),
    "a model that is not there": ("spec", CONTROL, f'{CONTROL} model="planted:nothing",'),
    "a licence in words": ("spec", '"Apache-2.0"', '"the Apache licence"'),
    "no licence": ("spec", '"Apache-2.0"', '""'),
    "an exemption without a reason": ("spec", CONTROL, f'{CONTROL} exemptions=(("files", " "),),'),
    "an exemption from nothing": ("spec", CONTROL, f'{CONTROL} exemptions=(("file", "why"),),'),
    "no such file": ("files", "return FILE", 'return "/nowhere/at/all.safetensors"'),
    "a path of its own kind": ("files", "return FILE", "return None"),
    "a pickle": (
        "files",
        "return FILE",
        'FILE.with_suffix(".ckpt").write_bytes(b"\\x80\\x02.")\n    return FILE.with_suffix(".ckpt")',
    ),
    "a file cut short": (
        "files",
        "return FILE",
        'FILE.with_stem("cut").write_bytes(FILE.read_bytes()[:40])\n    return FILE.with_stem("cut")',
    ),
    "another path each time": ("files", "return FILE", "return FILES.pop()"),
    "a file that its conditioner does not know": ("files", '"gain" not in', '"loss" not in'),
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_stable_diffusion(tmp_path_factory.mktemp("model") / "sd15")


def planted(folder: Path, right: str = "", wrong: str = "") -> PluginHost:
    """A plugin with a conditioner and a control of its kind."""
    import torch
    from safetensors.torch import save_file

    assert not right or (RECORD + CODE).count(right) == 1, "the line has changed: plant the fault anew"
    plugin = folder / "planted"
    plugin.mkdir()
    for name, text in {"__init__.py": RECORD, "code.py": CODE}.items():
        (plugin / name).write_text(text.replace(right, wrong) if right else text, encoding="utf-8")
    save_file({"gain": torch.ones(1)}, plugin / "grey.safetensors")
    host = PluginHost(load=("latentry", "latentry-sd", "latentry-z-image"), plugin_dirs=[plugin])
    assert host.problems == ()
    return host


def of_the_conditioner(host: PluginHost, folder: Path, model: Path, *checks: str) -> list[CheckResult]:
    """The failed findings."""
    pairs = [Pair(folder / "planted" / "grey.safetensors", model)]
    subject = ConditionerSubject.of("grey", host=host, pairs=pairs)
    return [result for check in checks for result in KITS["conditioners"].run(subject, check) if not result.passed]


def of_the_control(host: PluginHost, *checks: str) -> list[CheckResult]:
    subject = PlainSubject.of("grey-net", ControlSpec, host=host)
    return [result for check in checks for result in KITS["controls"].run(subject, check) if not result.passed]


@pytest.mark.parametrize("what", CONDITIONERS)
def test_a_fault_of_a_conditioner_is_found(tmp_path: Path, model: Path, what: str) -> None:
    check, right, wrong = CONDITIONERS[what]
    results = of_the_conditioner(planted(tmp_path, right, wrong), tmp_path, model, check)
    assert results
    assert all(len(result.hint) > 30 for result in results)


@pytest.mark.parametrize("what", CONTROLS)
def test_a_fault_of_a_control_is_found(tmp_path: Path, what: str) -> None:
    check, right, wrong = CONTROLS[what]
    host = planted(tmp_path, right, wrong)
    results = of_the_control(host, check)
    assert results
    assert all(len(result.hint) > 30 for result in results)


def test_without_a_fault_both_pass(tmp_path: Path, model: Path) -> None:
    host = planted(tmp_path)
    assert [str(result) for result in of_the_conditioner(host, tmp_path, model, *KITS["conditioners"].checks)] == []
    assert [str(result) for result in of_the_control(host, *KITS["controls"].checks)] == []
