"""Checks of encoding prompts and predicting: what the output depends on, and what it does not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import torch
from PIL import Image
from torch import Tensor

from latentry._contract._conditioning import Conditioning
from latentry._contract._model import takes_rows_of_timesteps
from latentry._specs import VariantSpec
from latentry.testing._family._inputs import DIFFERENT, PROMPTS, SAME, Given, apart, given, mask, pictures, predicted
from latentry.testing._family._subject import FamilySubject
from latentry.testing._kit._record import summed
from latentry.testing._result import CheckResult

ODD_PROMPTS = ("", "a " * 120, "ünïcode 名前 🙂", "a (red:1.3) circle [on] \\(black\\)", "line\nbreak\ttab")


def output(subject: FamilySubject) -> Iterator[CheckResult]:
    """The output has the shape of the samples, the model's dtype and device, finite values and no gradient.

    Troubleshooting: compute under ``torch.no_grad()``; keep what has to run in float32 inside ``predict``.
    """
    for variant in subject.variants:
        model, inputs = subject.model(variant), given(subject, variant)
        out = model.predict(inputs.x, inputs.timestep, inputs.conditioning)
        faults = [f"its shape is {tuple(out.shape)}, and the samples have {tuple(inputs.x.shape)}"] * (
            out.shape != inputs.x.shape
        )
        faults += [f"its dtype is {out.dtype}"] * (out.dtype != model.dtype)
        faults += [f"it is on {out.device}"] * (out.device != model.device)
        faults += ["it takes gradients"] * out.requires_grad
        faults += ["it is not finite"] * (not bool(out.isfinite().all()))
        yield summed("output", "as the samples, finite", faults, case=variant.name)


def prompts(subject: FamilySubject) -> Iterator[CheckResult]:
    """Each prompt gives one row of conditioning, whatever it says; another prompt gives another prediction.

    Troubleshooting: ``encode_prompt`` returns tensors whose first dimension is the number of prompts, and ``predict``
    passes them to the network. For a network without a prompt, exempt ``prompts``.
    """
    for variant in subject.variants:
        yield summed("prompts", "a row each, with an effect", _prompt_faults(subject, variant), case=variant.name)


def _prompt_faults(subject: FamilySubject, variant: VariantSpec) -> Iterator[str]:
    model, settings = subject.model(variant), subject.settings(variant)
    for text in ODD_PROMPTS:
        encoded = model.encode_prompt([text], settings)
        if any(len(tensor) != 1 for tensor in encoded.tensors.values()):
            yield f"{text[:20]!r} gives {encoded.shapes}"
        if any(tensor.is_floating_point() and not tensor.isfinite().all() for tensor in encoded.tensors.values()):
            yield f"{text[:20]!r} gives values that are not finite"
    both = given(subject, variant)
    if any(len(tensor) != len(PROMPTS) for tensor in both.conditioning.tensors.values()):
        yield "two prompts do not give two rows"
    one, other = (given(subject, variant, [text]) for text in PROMPTS)
    if apart(predicted(model, one), predicted(model, other)) < DIFFERENT:
        yield "another prompt has no effect on the prediction"


def guidance(subject: FamilySubject) -> Iterator[CheckResult]:
    """A network that takes the guidance scale as an input depends on it; no other is given one.

    Troubleshooting: ``settings.guidance`` is the scale for ``guidance_kind="distilled"``, and None for all others.
    """
    for variant in subject.variants:
        if variant.guidance_kind != "distilled":
            continue
        low, high = (predicted(subject.model(variant), given(subject, variant, guidance=g)) for g in (1.5, 6.0))
        faults = ["the scale has no effect"] * (apart(low, high) < DIFFERENT)
        yield summed("guidance", "depends on the scale", faults, case=variant.name)


def masks(subject: FamilySubject) -> Iterator[CheckResult]:
    """A network that is declared to be shown the mask depends on it, and on the picture around it.

    Troubleshooting: ``inpainting`` returns what ``predict`` then finds in the conditioning. Networks that are not shown
    a mask do not declare ``inpainting``: they get it by blending, with ``image-to-image``.
    """
    for variant in subject.variants:
        if "inpainting" in variant.tasks:
            yield summed("masks", "depends on mask and picture", _mask_faults(subject, variant), case=variant.name)


def _mask_faults(subject: FamilySubject, variant: VariantSpec) -> Iterator[str]:
    model, side, inputs = subject.model(variant), subject.side(variant), given(subject, variant)
    shown, half = pictures(len(PROMPTS), side), mask(len(PROMPTS), side)
    own = predicted(model, inputs)
    for what, other in {"mask": (shown, 1 - half), "picture around it": (-shown, half)}.items():
        tensors = {**inputs.conditioning.tensors, **model.inpainting(*other)}
        if apart(predicted(model, Given(inputs.x, inputs.timestep, Conditioning(tensors))), own) < DIFFERENT:
            yield f"another {what} has no effect"


def references(subject: FamilySubject) -> Iterator[CheckResult]:
    """A network that can be shown pictures beside the prompt depends on each of them, and does without any.

    Troubleshooting: ``settings.references`` holds the pictures; what ``encode_prompt`` makes of them goes into the
    conditioning. ``VariantSpec.references`` says how many the network takes. Rows share a pass where the shapes of
    their conditioning are equal: what ``predict`` reads of one row for all must be in a shape, as in
    ``torch.empty(batch, 0, rows, columns)``.
    """
    for variant in subject.variants:
        if variant.references:
            yield summed("references", "depends on each", _reference_faults(subject, variant), case=variant.name)


def _reference_faults(subject: FamilySubject, variant: VariantSpec) -> Iterator[str]:
    side, model = subject.side(variant), subject.model(variant)
    grey = Image.radial_gradient("L").resize((side, side)).convert("RGB")
    wide = Image.linear_gradient("L").resize((2 * side, side)).convert("RGB")
    none, one = (predicted(model, given(subject, variant, shown=shown)) for shown in ([], [grey]))
    if apart(one, none) < DIFFERENT:
        yield "a picture has no effect"
    if apart(predicted(model, given(subject, variant, shown=[wide])), one) < DIFFERENT:
        yield "another picture has no effect"
    if variant.references > 1 and apart(predicted(model, given(subject, variant, shown=[grey, wide])), one) < DIFFERENT:
        yield "a second picture has no effect"
    tall = wide.transpose(Image.Transpose.ROTATE_90)
    alone = [given(subject, variant, PROMPTS[:1], shown=[each]) for each in (wide, tall)]
    told = [each.conditioning for each in alone]
    if told[0].shapes == told[1].shapes:  # else they never share a pass
        both = Given(torch.cat([each.x for each in alone]), alone[0].timestep, Conditioning.stacked(told))
        off = apart(predicted(model, both), torch.cat([predicted(model, each) for each in alone]))
        if off > SAME:
            yield f"rows that are shown a wide and a tall picture share a pass, and one is off by {off:.1e}"


def timestep(subject: FamilySubject) -> Iterator[CheckResult]:
    """The prediction depends on the timestep, between those of training too.

    Troubleshooting: pass ``timestep`` to the network as the float that it is, without rounding.
    """
    for variant in subject.variants:
        model, inputs = subject.model(variant), given(subject, variant)
        times = (inputs.timestep, inputs.timestep * 1.5, inputs.timestep + 0.4)
        here, far, near = (predicted(model, Given(inputs.x, time, inputs.conditioning)) for time in times)
        faults = ["another timestep has no effect"] * (apart(far, here) < DIFFERENT)
        faults += ["a fraction of a timestep has no effect"] * torch.equal(near, here)
        yield summed("timestep", "depends on it", faults, case=variant.name)


def layers(subject: FamilySubject) -> Iterator[CheckResult]:
    """Where the variant says that layers can be left out, leaving one out has an effect, and none afterwards.

    Troubleshooting: ``skip_layers`` holds for one call; count layers from 0 to ``Checkpoint.layers`` − 1.
    """
    for variant in subject.variants:
        if not variant.skip_layers:
            continue
        model, inputs = subject.model(variant), given(subject, variant)
        whole = predicted(model, inputs)
        every = [predicted(model, inputs, skip_layers=(k,)) for k in range(subject.checkpoint(variant).layers)]
        faults = [f"layer {k} has no effect" for k, without in enumerate(every) if apart(without, whole) < DIFFERENT]
        faults += ["a layer stays out afterwards"] * (not torch.equal(predicted(model, inputs), whole))
        yield summed("layers", "each can be left out", faults, case=variant.name)


def determinism(subject: FamilySubject) -> Iterator[CheckResult]:
    """The same inputs give the same bits, whatever was computed before and whatever torch's global generator holds.

    Troubleshooting: keep nothing of one call for the next in ``self``; a network in evaluation mode draws nothing.
    """
    for variant in subject.variants:
        yield summed("determinism", "the same bits", _determinism_faults(subject, variant), case=variant.name)


def _determinism_faults(subject: FamilySubject, variant: VariantSpec) -> Iterator[str]:
    model = subject.model(variant)
    results: list[tuple[Conditioning, Tensor]] = []
    with torch.random.fork_rng(devices=()):
        for seed in (1, 2):
            torch.manual_seed(seed)
            before = torch.get_rng_state()
            inputs = given(subject, variant)
            results.append((inputs.conditioning, predicted(model, inputs)))
            if not torch.equal(before, torch.get_rng_state()):
                yield "it draws from torch's global generator"
                return
            predicted(model, given(subject, variant, ["a star"], lam=1.0))
    (first, out), (again, same) = results
    if not all(torch.equal(first[name], again[name]) for name in first.tensors):
        yield "encode_prompt gives other tensors the second time"
    if not torch.equal(out, same):
        yield "predict gives another output after other calls"


def batch(subject: FamilySubject) -> Iterator[CheckResult]:
    """A row of a batch gives what it gives alone: prompts, predictions.

    Troubleshooting: normalise and attend within a row; a mean over the batch leaks from picture to picture.
    """
    for variant in subject.variants:
        yield summed("batch", f"as alone, to {SAME:g}", _batch_faults(subject, variant), case=variant.name)


def _batch_faults(subject: FamilySubject, variant: VariantSpec) -> Iterator[str]:
    model, both = subject.model(variant), given(subject, variant)
    out = predicted(model, both)
    for index in range(len(PROMPTS)):
        single = both.row(index)
        off = apart(out[index : index + 1], predicted(model, single))
        if off > SAME:
            yield f"predict: row {index} is off by {off:.1e}"
    settings = subject.settings(variant)
    together = model.encode_prompt(PROMPTS, settings)
    for index, text in enumerate(PROMPTS):
        alone = model.encode_prompt([text], settings)
        if alone.shapes != together.shapes:  # shorter prompts are padded to the longest
            continue
        off = max(apart(together[name][index : index + 1], alone[name]) for name in alone.tensors)
        if off > SAME:
            yield f"encode_prompt: a prompt is off by {off:.1e} in a batch"


def rows(subject: FamilySubject) -> Iterator[CheckResult]:
    """A model that takes a timestep for each row gives each row what it gives alone at its timestep.

    Troubleshooting: ``timestep_rows`` of ``latentry.models`` makes a tensor (batch,) of whatever ``predict`` is given;
    a network that cannot use one leaves ``rows_of_timesteps`` out.
    """
    for variant in subject.variants:
        model, both = subject.model(variant), given(subject, variant)
        if not takes_rows_of_timesteps(model):
            continue
        times = (both.timestep, both.timestep * 1.5)
        with torch.no_grad():
            out = model.predict(both.x, torch.tensor(times), both.conditioning)
        alone = [predicted(model, replace(both.row(index), timestep=time)) for index, time in enumerate(times)]
        off = max(apart(out[index : index + 1], row) for index, row in enumerate(alone))
        yield summed("rows", f"as alone, to {SAME:g}", [f"a row is off by {off:.1e}"] * (off > SAME), case=variant.name)


def in_place(subject: FamilySubject) -> Iterator[CheckResult]:
    """Nothing is written into the samples or the conditioning.

    Troubleshooting: replace ``x += …`` and ``x.mul_(…)`` by new tensors; the samples are the scheduler's memory.
    """
    for variant in subject.variants:
        model, inputs = subject.model(variant), given(subject, variant)
        before = Given(
            inputs.x.clone(), 0.0, Conditioning({k: v.clone() for k, v in inputs.conditioning.tensors.items()})
        )
        predicted(model, inputs)
        changed = ["x"] * (not torch.equal(inputs.x, before.x))
        changed += [
            name for name, t in before.conditioning.tensors.items() if not torch.equal(t, inputs.conditioning[name])
        ]
        yield summed("in_place", "unchanged", [f"{name} was written into" for name in changed], case=variant.name)


def dtypes(subject: FamilySubject) -> Iterator[CheckResult]:
    """In half precision the model runs in it, is finite, and predicts what it predicts in float32, roughly.

    Troubleshooting: cast the samples and the conditioning to ``self.dtype`` in ``predict``, and compute what overflows,
    such as norms, in float32. ``decode`` and ``encode`` give float32.
    """
    for variant in subject.variants:
        for dtype in (torch.float16, torch.bfloat16):
            faults = _dtype_faults(subject, variant, dtype)
            yield summed("dtypes", str(dtype).removeprefix("torch."), faults, case=variant.name)


def _dtype_faults(subject: FamilySubject, variant: VariantSpec, dtype: torch.dtype) -> Iterator[str]:
    model = subject.loaded(variant, dtype)
    if model.dtype != dtype:
        yield f"the model's dtype is {model.dtype}"
        return
    inputs = given(subject, variant, model=model)
    out = predicted(model, inputs)
    if out.dtype != dtype:
        yield f"the output's dtype is {out.dtype}"
    odd = {t.dtype for t in inputs.conditioning.tensors.values() if t.is_floating_point()} - {dtype, torch.float32}
    if odd:
        yield f"the conditioning is in {odd.pop()}"
    exact = predicted(subject.model(variant), given(subject, variant))
    off = apart(out.float(), exact)
    if not off < 0.3:
        yield f"the output is off by {off:.1e} from float32's"
    if (pixels := model.decode(inputs.x.float())).dtype != torch.float32:
        yield f"decode gives {pixels.dtype}"
    elif not pixels.isfinite().all():
        yield "decode gives values that are not finite"


def threads(subject: FamilySubject) -> Iterator[CheckResult]:
    """Threads that use one model at the same time get what each gets alone.

    Troubleshooting: a model is shared by requests: it has no attributes that a call sets.
    """
    for variant in subject.variants:

        def run(text: str, variant: VariantSpec = variant) -> Tensor:
            own = subject.model(variant)
            return own.decode(predicted(own, given(subject, variant, [text])).float())

        texts: Sequence[str] = (*PROMPTS, "a star", "a") * 2
        alone = [run(text) for text in texts]
        with ThreadPoolExecutor(len(texts)) as pool:
            together = list(pool.map(run, texts))
        off = max(apart(a, b) for a, b in zip(together, alone, strict=True))
        faults = [f"one is off by {off:.1e}"] * (off > SAME)
        yield summed("threads", f"as alone, to {SAME:g}", faults, case=variant.name)
