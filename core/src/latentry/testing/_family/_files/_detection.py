"""Checks of how files are recognised: what is the family's, what is not, and that nothing heavy is needed for it."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from latentry._errors import LatentryError
from latentry._specs import Detection, FileKind, ModelFiles
from latentry.testing._family._subject import FamilySubject
from latentry.testing._kit._record import HEAVY, in_new_process, run_python, summed
from latentry.testing._result import CheckResult

SURE = 0.5
_FIND = f"""
import json, sys
from dataclasses import asdict
from pathlib import Path
from latentry import ModelFiles
given = json.loads(sys.argv[1])
found = [detect(ModelFiles(Path(path))) for path in given["paths"]]
print(json.dumps([[each and asdict(each) for each in found], [name for name in {HEAVY} if name in sys.modules]]))
"""
_BY_HOST = '\ndetect = host.families.load(record.name, "detector")\n'
_BY_IMPORT = """
import json, sys
from functools import reduce
from importlib import import_module
module, _, attribute = json.loads(sys.argv[1])["detector"].partition(":")
detect = reduce(getattr, attribute.split("."), import_module(module))
"""


def detection(subject: FamilySubject) -> Iterator[CheckResult]:
    """The family's models are recognised as what they are, with evidence, from headers alone: no torch is imported.

    Troubleshooting: read configurations with ``json`` and headers with ``latentry.models.safetensors_header``; say in
    ``evidence`` what was seen. ``variants`` holds all that the files leave open, and ``score`` is at least 0.5.
    """
    paths = {name: files.path for name, files in subject.files.items()}
    given = {"paths": [str(path) for path in paths.values()]}
    if subject.installed:
        done = in_new_process(subject, _BY_HOST + _FIND, **given)
    else:
        done = run_python(_BY_IMPORT + _FIND, {**given, "detector": subject.spec.detector})
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it ended"])[-1]
        yield CheckResult(check="detection", case="all", declared="runs", measured=last, passed=False)
        return
    found, heavy = json.loads(done.stdout.splitlines()[-1])
    yield summed("detection", "imports no torch", [f"it imports {', '.join(heavy)}"] * bool(heavy))
    known = {variant.name for variant in subject.spec.variants}
    for variant, answer in zip(paths, found, strict=True):
        yield summed("detection", variant, _answer_faults(answer, variant, known), case=variant)


def _answer_faults(answer: dict[str, object] | None, variant: str, known: set[str]) -> Iterator[str]:
    if answer is None:
        yield "it is not recognised"
        return
    detection_ = Detection(**{**answer, "kind": FileKind(answer["kind"])})  # type: ignore[arg-type]
    if variant not in detection_.variants:
        yield f"it is taken for {', '.join(detection_.variants) or 'nothing that can run'}"
    if unknown := set(detection_.variants) - known:
        yield f"{', '.join(sorted(unknown))} is not in the record"
    if not SURE <= detection_.score <= 1.0:
        yield f"the score is {detection_.score:g}"
    if not detection_.evidence or not all(text.strip() for text in detection_.evidence):
        yield "there is no evidence"


def foreign(subject: FamilySubject) -> Iterator[CheckResult]:
    """What is not the family's is not taken for it: other models, other files, damaged ones.

    Troubleshooting: give None, or a score below 0.5; a claim must rest on something that only this family's files have.
    """
    for what, path in _other_models(subject):
        yield _claimed(subject, what, path)
    with TemporaryDirectory() as folder:
        for what, path in _strangers(Path(folder)):
            yield _claimed(subject, what, path)


def _claimed(subject: FamilySubject, what: str, path: Path) -> CheckResult:
    found = ""
    try:
        answer = subject.detect(ModelFiles(path))
        if answer is not None and answer.variants and answer.score >= SURE and answer.kind is FileKind.MODEL:
            found = f"taken for {answer.variants[0]}: {'; '.join(answer.evidence)}"
    except LatentryError:
        pass
    except Exception as error:
        found = f"{type(error).__name__}: {error}"
    return CheckResult(
        check="foreign", case=what, declared="not recognised", measured=found or "not recognised", passed=not found
    )


def _other_models(subject: FamilySubject) -> Iterator[tuple[str, Path]]:
    """The installed models of other families."""
    own = subject.host.families.qualified(subject.installed) if subject.installed else ""
    for name in sorted(subject.host.checkpoints):
        if subject.host.checkpoints[name].family != own:
            yield f"the model {name}", Path(subject.host.checkpoints.load(name)())


def _strangers(folder: Path) -> Iterator[tuple[str, Path]]:
    empty = folder / "empty"
    empty.mkdir()
    yield "an empty folder", empty
    nonsense = folder / "nonsense"
    nonsense.mkdir()
    (nonsense / "model_index.json").write_text('{"_class_name": "SomethingElsePipeline"}', encoding="utf-8")
    yield "a pipeline that nobody knows", nonsense
    broken = folder / "broken"
    broken.mkdir()
    (broken / "model_index.json").write_text("{", encoding="utf-8")
    yield "a folder whose index is damaged", broken
    yield "a file of other tensors", _safetensors(folder / "other.safetensors", {"layer.weight": [2, 3]})
    yield "a file without tensors", _safetensors(folder / "none.safetensors", {})
    short = _safetensors(folder / "short.safetensors", {"layer.weight": [2, 3]})
    short.write_bytes(short.read_bytes()[:20])
    yield "a file that was cut short", short
    text = folder / "text.safetensors"
    text.write_text("this is not a model\n", encoding="utf-8")
    yield "a text under the name of a model", text


def _safetensors(path: Path, shapes: dict[str, list[int]]) -> Path:
    """A file in the format, by hand, of zeros."""
    header, end = {}, 0
    for name, shape in shapes.items():
        begin, end = end, end + 4 * shape[0] * shape[1]
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(end))
    return path
