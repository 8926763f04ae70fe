"""Stand-ins for tensors: a step that computes with them writes down what it computes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any, NoReturn

from latentry._numerics._processes._point import Query
from latentry._numerics._running._noise import Clock
from latentry._numerics._table._table import Combine, Draw, Evaluate, Guard, Operation, Term


class NotLinearError(Exception):
    """A step does something with a tensor that is not a combination with host coefficients."""


class Tape:
    """The operations of the step that is being recorded, in order, and the names of what they make."""

    def __init__(self) -> None:
        self._step = self._rows = 0
        self._operations: list[Operation | Symbol] = []

    def begin(self, step: int) -> Symbol:
        """Begins a step: its sample."""
        self._step, self._rows, self._operations = step, 0, []
        return Symbol(self, f"x{step}")

    def draw(self, number: int, clock: Clock | None) -> Symbol:
        """A draw of noise."""
        symbol = self._named("noise", number)
        self._operations.append(Draw(symbol.name, number, clock))
        return symbol

    def evaluate(self, query: Query, x: Symbol, *, uncond: bool) -> tuple[Symbol, Symbol | None]:
        """An evaluation of the network: its output, and the one without guidance if that is wanted."""
        stage = sum(isinstance(operation, Evaluate) for operation in self._operations)
        output, lone = self._named("out", stage), self._named("uncond", stage) if uncond else None
        without = None if lone is None else lone.name
        self._operations.append(Evaluate(output.name, x.use(), query.point, float(query.timestep), without))
        return output, lone

    def combination(self, *terms: tuple[float, Symbol]) -> Symbol:
        """A new tensor that is the sum of the terms."""
        symbol = self._row(terms)
        self._operations.append(symbol)
        return symbol

    def guard(self, first: Symbol, full: Symbol, denoised: Symbol, gain: float, kappa: float) -> Symbol:
        """The step of higher order, guarded."""
        symbol = self._row()
        self._operations.append(Guard(symbol.name, first.use(), full.use(), denoised.use(), gain, kappa))
        return symbol

    def move_to_end(self, symbol: Symbol) -> None:
        """Lets a combination be made after everything so far."""
        self._operations = [*(op for op in self._operations if op is not symbol), symbol]

    def written(self) -> tuple[Operation, ...]:
        """The operations as data."""
        return tuple(op.combine() if isinstance(op, Symbol) else op for op in self._operations)

    def _row(self, terms: Sequence[tuple[float, Symbol]] | None = None) -> Symbol:
        self._rows += 1
        return Symbol(self, f"row{self._step}.{self._rows - 1}", terms)

    def _named(self, kind: str, number: int) -> Symbol:
        return Symbol(self, f"{kind}{self._step}.{number}")


class Symbol:
    """Takes the place of a tensor in a step.

    What can be told of a tensor beyond its linear combinations (its numbers, its shape, its dtype) a symbol does not
    know: asking raises ``NotLinearError``, since a step whose arithmetic depends on it has no table.
    """

    __slots__ = ("_tape", "_terms", "_used", "name")

    def __init__(self, tape: Tape, name: str, terms: Sequence[tuple[float, Symbol]] | None = None) -> None:
        self._tape, self.name, self._used = tape, name, False
        self._terms = None if terms is None else [Term(c, symbol.use()) for c, symbol in terms]

    def use(self) -> str:
        """Its name, for something that is computed from it; from now on it cannot be written to."""
        self._used = True
        return self.name

    def combine(self) -> Combine:
        """The operation that makes it."""
        return Combine(self.name, tuple(self._terms or ()))

    def mul(self, factor: object) -> Symbol:
        """The symbol times a host number."""
        return self._tape.combination((_number(factor), self))

    def add(self, other: object, *, alpha: object = 1.0) -> Symbol:
        """The sum with another symbol times a host number."""
        return self._tape.combination((1.0, self), (_number(alpha), _symbol(other)))

    def sub(self, other: object, *, alpha: object = 1.0) -> Symbol:
        """The difference from another symbol times a host number."""
        return self.add(other, alpha=-_number(alpha))

    def neg(self) -> Symbol:
        """The symbol times −1."""
        return self.mul(-1.0)

    def add_(self, other: object, *, alpha: object = 1.0) -> Symbol:
        """Another term of a combination that nothing has used yet."""
        if self._terms is None or self._used:  # what a memory holds is in use
            raise NotLinearError("its step writes into a tensor that is in use")
        self._terms.append(Term(_number(alpha), _symbol(other).use()))
        self._tape.move_to_end(self)  # the new term may have been made after this combination was begun
        return self

    def zeros_like(self) -> Symbol:
        """The combination without terms."""
        return self._tape.combination()

    def guarded(self, full: object, denoised: object, *, gain: float, kappa: float) -> Symbol:
        """The one thing that is not linear and can be recorded: see the function of that name."""
        return self._tape.guard(self, _symbol(full), _symbol(denoised), gain, kappa)

    __mul__ = __rmul__ = mul
    __neg__ = neg

    def __add__(self, other: object) -> Symbol:
        return self.add(other)

    def __sub__(self, other: object) -> Symbol:
        return self.sub(other)

    @classmethod
    def __torch_function__(
        cls,
        function: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """What ``torch.add(symbol, …)`` and the like come to."""
        name = getattr(function, "__name__", str(function))
        if name not in ("add", "sub", "mul", "neg", "zeros_like") or not args or not isinstance(args[0], cls):
            raise NotLinearError(f"its step calls torch.{name}")
        return getattr(args[0], name)(*args[1:], **(kwargs or {}))

    def __getattr__(self, name: str) -> NoReturn:
        raise NotLinearError(f"its step asks a tensor for {name!r}")

    def __bool__(self) -> NoReturn:
        raise NotLinearError("its step decides by the numbers in a tensor")

    def __eq__(self, other: object) -> NoReturn:
        raise NotLinearError("its step compares tensors")

    __hash__ = object.__hash__


def _number(value: object) -> float:
    if isinstance(value, Real):
        return float(value)
    raise NotLinearError(f"its step multiplies a tensor by an object of type {type(value).__name__}")


def _symbol(value: object) -> Symbol:
    if isinstance(value, Symbol):
        return value
    raise NotLinearError(f"its step adds an object of type {type(value).__name__} to a tensor")
