"""Checks of attention: each backend takes effect, computes the same, and is put back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from latentry._attention._arithmetic import eager_attention
from latentry._attention._available import AvailableBackends
from latentry._attention._names import ROLES
from latentry._attention._serving import attention_backend
from latentry._contract._model import Model
from latentry._errors import IncompatibleError, OptionError
from latentry._specs import VariantSpec
from latentry.testing._family._inputs import SAME, apart, given, normal, pictures, predicted
from latentry.testing._family._subject import CPU, FamilySubject
from latentry.testing._kit._record import summed
from latentry.testing._result import CheckResult


class _Definition:
    """Attention by its definition; counts calls. With ``scale`` ≠ 1 it is wrong on purpose, to be seen."""

    def __init__(self, factor: float = 1.0) -> None:
        self.calls, self._factor = 0, factor

    def probe(self) -> str | None:
        return None

    def attend(self, q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Tensor:
        self.calls += 1
        return (self._factor * eager_attention(q, k, v, **options)).to(q.dtype)


def attention(subject: FamilySubject) -> Iterator[CheckResult]:
    """A backend serves the networks' attention, gives what its own gives, and is put back at the end, come what may.

    Troubleshooting: call ``latentry.models.AttentionSlot`` in place of PyTorch's function, or route the layers of your
    library; ``set_attention`` returns a context manager. For networks without attention, exempt ``attention``.
    """
    for variant in subject.variants:
        run = _Run(subject, variant)
        yield summed("attention", "served, the same, put back", _served_faults(run), case=variant.name)


class _Run:
    """Everything that a model computes: prompts, a prediction, latents of a picture, and pictures of latents."""

    def __init__(self, subject: FamilySubject, variant: VariantSpec) -> None:
        self.subject, self.variant, self.model = subject, variant, subject.model(variant)
        self._shape, self._side = given(subject, variant).x.shape, subject.side(variant)
        self.own = self()

    def __call__(self, model: Model | None = None) -> list[Tensor]:
        """All outputs."""
        model = model or self.model
        inputs = given(self.subject, self.variant, model=model)
        encoded = [tensor for _, tensor in sorted(inputs.conditioning.tensors.items()) if tensor.is_floating_point()]
        latents = model.encode(pictures(self._shape[0], self._side))
        return [*encoded, predicted(model, inputs), latents, model.decode(normal(*self._shape))]

    def off(self, found: list[Tensor]) -> float:
        """How far outputs are from the networks' own."""
        return max(apart(a, b) for a, b in zip(found, self.own, strict=True))

    def same(self) -> bool:
        """Whether the outputs now are the networks' own, bit for bit."""
        return all(torch.equal(a, b) for a, b in zip(self(), self.own, strict=True))


def _served_faults(run: _Run) -> Iterator[str]:
    model, right, wrong = run.model, _Definition(), _Definition(0.5)
    with model.set_attention(right):
        off = run.off(run())
    if not right.calls:
        yield "no layer calls the backend"
        return
    if off > SAME:
        yield f"with attention by its definition the output is off by {off:.1e}"
    yield from _left(run, right, "at the end of the block")
    with model.set_attention(wrong):
        if run.off(run()) < SAME:
            yield "a wrong backend has no effect on the output"
    try:
        with model.set_attention(wrong):
            raise KeyError
    except KeyError:
        pass
    yield from _left(run, wrong, "after an exception")
    yield from _nested(run)
    other, count = run.subject.loaded(run.variant), right.calls
    with model.set_attention(right):
        run(other)
    if right.calls != count:
        yield "a backend set on one model serves another"


def _left(run: _Run, backend: _Definition, when: str) -> Iterator[str]:
    """Whether a backend has been put back."""
    count = backend.calls
    same = run.same()
    if backend.calls != count:
        yield f"the backend still serves {when}"
        run.model.set_attention(None)
    elif not same:
        yield f"the output is another {when}"


def _nested(run: _Run) -> Iterator[str]:
    """Blocks within blocks, and a setting without a block."""
    model, outer, inner = run.model, _Definition(), _Definition()
    with model.set_attention(outer):
        with model.set_attention(inner):
            run()
        if outer.calls or not inner.calls:
            yield "an inner block does not take over"
        run()
        if outer.calls != inner.calls:
            yield "after an inner block, the outer one's backend does not serve again"
        with model.set_attention(None):
            run()
        if outer.calls != inner.calls:
            yield "None in an inner block does not set the networks' own attention"
    model.set_attention(inner)
    before = inner.calls
    run()
    if inner.calls == before:
        yield "without a with block it has no effect"
    model.set_attention(None)
    before = inner.calls
    run()
    if inner.calls != before:
        yield "None does not set the networks' own attention"


def attention_roles(subject: FamilySubject) -> Iterator[CheckResult]:
    """A role that the model does not have is refused, and nothing is changed; one that it has can be served alone.

    Troubleshooting: raise ``latentry.OptionError`` before the first layer is changed, and name the roles there are.
    """
    for variant in subject.variants:
        run = _Run(subject, variant)
        yield summed("attention_roles", "its own, and no other", _role_faults(run), case=variant.name)


def _role_faults(run: _Run) -> Iterator[str]:
    model, served = run.model, 0
    for role in (*ROLES, "no-such-role"):
        backend = _Definition()
        try:
            with model.set_attention(backend, role=role):
                off = run.off(run())
        except OptionError as error:
            if not error.remedy:
                yield f"{role!r} is refused without a remedy"
            continue
        if role == "no-such-role":
            yield "a role that does not exist is taken"
        elif not backend.calls:
            yield f"{role}: no layer calls the backend"
        if off > SAME:
            yield f"{role}: off by {off:.1e}"
        served += backend.calls
    whole = _Definition()
    with model.set_attention(whole):
        run()
    if served != whole.calls:
        yield f"its roles serve {served} calls, and all of it {whole.calls}"
    if not run.same():
        yield "the output is another afterwards"


def backends(subject: FamilySubject) -> Iterator[CheckResult]:
    """Every installed attention backend that can run here and is exact gives what the network's own attention gives.

    Troubleshooting: run ``latentry check`` on the backend by itself; if that passes, the family passes it other
    arguments than it passes to its own attention: a mask, a scale, causality.
    """
    available = AvailableBackends(subject.host)
    for name, record in subject.host.attention_backends.items():
        if record.error or available.verify(name, {}, CPU, torch.float32).reason is not None:
            continue
        for variant in subject.variants:
            try:
                off = _off(subject, variant, name)
            except IncompatibleError:
                continue  # it declares that it cannot serve these layers
            faults = [f"off by {off:.1e}"] * (off > SAME)
            yield summed("backends", f"{name}: the same", faults, case=variant.name)


def _off(subject: FamilySubject, variant: VariantSpec, name: str) -> float:
    """How far the outputs through a backend are from those of the networks' own attention."""
    run = _Run(subject, variant)
    with run.model.set_attention(attention_backend(name, device=CPU, dtype=torch.float32, host=subject.host)):
        return run.off(run())
