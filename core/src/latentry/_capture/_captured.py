"""A network whose calls go to captured graphs for a while."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Condition
from typing import Any

import torch
from torch import Tensor, nn

from latentry._capture._call import Kind, NotCapturable, kind_of
from latentry._capture._ways import Graph, Way, capture

log = logging.getLogger("latentry")


@dataclass
class Captures:
    """The graphs of one network with one setting, by kind of call; None for a kind that cannot be captured.

    Attributes:
        way: how graphs are made.
        after: how many generations a kind of call must have been seen in before it is captured.
        generations: begun so far.
        graphs: by kind.
        seen: the first generation of each kind that waits.
        notes: what could not be captured, one sentence each.
    """

    way: Way
    after: int = 0
    generations: int = 0
    graphs: dict[Kind, Graph | None] = field(default_factory=dict)
    seen: dict[Kind, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def due(self, kind: Kind) -> bool:
        """Whether a kind of call is to be captured now."""
        return self.generations - self.seen.setdefault(kind, self.generations) >= self.after


@contextmanager
def captured(network: nn.Module, captures: Captures) -> Iterator[None]:
    """Sends a network's calls to graphs, which are made on the way, until the end of the context.

    The network's ``forward`` is replaced on the instance; with it gone the network is as it was.
    """
    captures.generations += 1
    forward = network.forward
    if "forward" in vars(network):  # a second request inside the same setting
        yield
        return
    network.forward = _Calls(network, forward, captures)
    try:
        yield
    finally:
        del network.forward


class _Calls:
    """Takes the place of ``forward``."""

    def __init__(self, network: nn.Module, forward: Callable[..., Any], captures: Captures) -> None:
        self._network, self._forward, self._captures = network, forward, captures
        self._idle = Condition()
        self._running = 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if torch.is_grad_enabled():
            return self._forward(*args, **kwargs)
        tensors: list[Tensor] = []
        try:
            kind = kind_of((args, kwargs), tensors)
        except NotCapturable:
            return self._forward(*args, **kwargs)
        if kind not in self._captures.graphs and self._captures.due(kind):
            self._capture(kind, tensors, args, kwargs)
        graph = self._captures.graphs.get(kind)
        with self._entered():
            return self._forward(*args, **kwargs) if graph is None else graph(*tensors)

    @contextmanager
    def _entered(self) -> Iterator[None]:
        with self._idle:
            self._running += 1
        try:
            yield
        finally:
            with self._idle:
                self._running -= 1
                self._idle.notify_all()

    def _capture(self, kind: Kind, tensors: list[Tensor], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Captures a kind of call once no thread is inside."""
        with self._idle:
            self._idle.wait_for(lambda: not self._running)
            if kind in self._captures.graphs:
                return
            log.info("capturing %s by %s", type(self._network).__name__, self._captures.way)
            try:
                graph = capture(self._network, self._forward, kind, tensors, self._captures.way)
                if self._captures.way == "script":
                    _compare(graph(*tensors), self._forward(*args, **kwargs))
                self._captures.graphs[kind] = graph
            except Exception as error:  # torch's tracers raise what they like, and the network itself works
                self._captures.graphs[kind] = None
                self._captures.notes.append(
                    f"{type(self._network).__name__} could not be captured by {self._captures.way} and runs as usual: "
                    f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
                )
                log.warning("%s", self._captures.notes[-1])


def _compare(ours: Any, theirs: Any) -> None:
    """Refuses a graph that gives other bits than the network."""
    left: list[Tensor] = []
    right: list[Tensor] = []
    kinds = kind_of(ours, left), kind_of(theirs, right)
    if kinds[0] != kinds[1] or not all(torch.equal(a, b) for a, b in zip(left, right, strict=True)):
        raise NotCapturable("the captured network returns other values than the network")
