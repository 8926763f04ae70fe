"""A network whose calls go to captured graphs for a while."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from threading import Condition, local
from time import thread_time
from typing import Any

import torch
from torch import Tensor, nn

from latentry._capture._call import Kind, NotCapturable, kind_of
from latentry._capture._form import form_of, hooks_so_far, settings_of
from latentry._capture._ways import Graph, Way, capture

log = logging.getLogger("latentry")
KINDS = 64
"""Of how many kinds of call there are graphs at once: sizes, rows and lengths of prompts."""


@dataclass
class Captures:
    """The graphs of one network with one setting, by kind of call; None for a kind that cannot be captured.

    Attributes:
        way: how graphs are made.
        after: how many generations a kind of call must have been seen in before it is captured.
        limit: a kind of call that takes longer is not captured: seconds of processor time of the calling thread.
        after_shared: how many calls of a kind must have been those of several requests before it is captured for
            these: their kinds are as many as there are numbers of rows.
        generations: begun so far.
        graphs: by kind.
        seen: the first generation of each kind that waits.
        shared: how many calls of each kind were those of several requests.
        compared: how often the graph of a kind was compared since it was made, and in which generation at last.
        took: the least time that a call of each kind that waits has taken.
        notes: what could not be captured, one sentence each.
        form: of the network that the graphs are of.
        settings: that were on it.
    """

    way: Way
    after: int = 0
    limit: float = math.inf
    after_shared: int = 0
    generations: int = 0
    graphs: dict[Kind, Graph | None] = field(default_factory=dict)
    seen: dict[Kind, int] = field(default_factory=dict)
    shared: Counter[Kind] = field(default_factory=Counter)
    compared: dict[Kind, tuple[int, int]] = field(default_factory=dict)
    took: dict[Kind, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    form: Hashable = None
    settings: Hashable = None

    def due(self, kind: Kind, *, shared: bool) -> bool:
        """Whether a kind of call is to be captured now, which several requests share or one has for itself."""
        if shared:
            self.shared[kind] += 1
            return self.shared[kind] > self.after_shared
        return self.generations - self.seen.setdefault(kind, self.generations) >= self.after

    def begin(self, network: nn.Module, settings: Hashable) -> None:
        """Counts a generation, and drops graphs of what the network was before a host changed it."""
        self.generations += 1
        if (now := (form_of(network), settings)) != (self.form, self.settings):
            self.form, self.settings = now
            self.graphs.clear()

    def add(self, kind: Kind, graph: Graph) -> None:
        """Takes a graph that was made now, and lets the oldest of very many go."""
        self.graphs[kind], self.compared[kind] = graph, (0, self.generations)
        while len(self.graphs) > KINDS:
            oldest = next(iter(self.graphs))
            for kept in (self.graphs, self.compared, self.seen, self.took, self.shared):
                kept.pop(oldest, None)  # it waits as a new kind would

    def is_to_compare(self, kind: Kind) -> bool:
        """Whether a graph is to be compared again: at the call after it was made, and at one of a later generation.

        So a network is found out that reads what is set on it for a call or a generation, and not given to it.
        """
        times, generation = self.compared.get(kind, (2, 0))
        if self.way != "graph" or times > 1 or (times == 1 and generation == self.generations):
            return False
        self.compared[kind] = times + 1, self.generations
        return True

    def timed(self, kind: Kind, call: Callable[[], Any]) -> Any:
        """What a call gives that is not captured yet."""
        start = thread_time()
        output = call()
        self.took[kind] = min(thread_time() - start, self.took.get(kind, math.inf))
        return output


@contextmanager
def captured(network: nn.Module, captures: Captures, settings: Hashable = None) -> Iterator[None]:
    """Sends a network's calls to graphs, which are made on the way, until the end of the context.

    The network's ``forward`` is replaced on the instance; with it gone the network is as it was.

    Args:
        network: its calls.
        captures: its graphs.
        settings: ``settings_of`` the network as its host left it; by default those on it now.
    """
    captures.begin(network, settings_of(network) if settings is None else settings)
    forward = network.forward
    if "forward" in vars(network):  # a second request inside the same setting
        yield
        return
    network.forward = _Calls(network, forward, captures)
    try:
        yield
    finally:
        del network.forward


@contextmanager
def shared_calls(networks: Iterable[nn.Module]) -> Iterator[None]:
    """Around a pass of several requests, in the thread that makes it: its kind waits longer for its graph."""
    with ExitStack() as stack:
        for network in networks:
            if isinstance(calls := vars(network).get("forward"), _Calls):
                stack.enter_context(calls.sharing())
        yield


class _Calls:
    """Takes the place of ``forward``."""

    def __init__(self, network: nn.Module, forward: Callable[..., Any], captures: Captures) -> None:
        self._network, self._forward, self._captures = network, forward, captures
        self._hooks, self._same = hooks_so_far(), True
        self._idle, self._thread = Condition(), local()
        self._running = 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if torch.is_grad_enabled() or not self._is_as_it_was():
            return self._forward(*args, **kwargs)
        tensors: list[Tensor] = []
        try:
            kind = kind_of((args, kwargs), tensors)
        except NotCapturable:
            return self._forward(*args, **kwargs)
        if tensors and torch.is_autocast_enabled(tensors[0].device.type):  # graphs were not made for its dtypes
            return self._forward(*args, **kwargs)
        captures, network = self._captures, partial(self._forward, *args, **kwargs)
        if kind not in captures.graphs and captures.due(kind, shared=getattr(self._thread, "shared", False)):
            output = self._capture(kind, tensors, network)
            if output is not None:
                return output
        with self._entered():
            if kind not in captures.graphs:
                return captures.timed(kind, network)
            graph = captures.graphs[kind]
            return network() if graph is None else self._replay(graph, kind, tensors, network)

    @contextmanager
    def sharing(self) -> Iterator[None]:
        """Calls of this thread are those of several requests, until the end of the context."""
        self._thread.shared = True
        try:
            yield
        finally:
            self._thread.shared = False

    def _replay(self, graph: Graph, kind: Kind, tensors: list[Tensor], network: Callable[[], Any]) -> Any:
        """What a graph returns; where it fails, or is to be compared and differs, what the network does."""
        compared = self._captures.is_to_compare(kind)
        try:
            output = graph(*tensors)
            if compared:
                _compare(output, network())
            return output
        except Exception as error:
            self._give_up(kind, error)
            return network()

    def _is_as_it_was(self) -> bool:
        """Whether no hook has come into the network since the setting began."""
        if self._hooks != (so_far := hooks_so_far()):
            self._hooks, self._same = so_far, form_of(self._network) == self._captures.form
        return self._same

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

    def _capture(self, kind: Kind, tensors: list[Tensor], network: Callable[[], Any]) -> Any:
        """Captures a kind of call, and returns what the network returns; None where that is not known.

        Torch's own tracers change modules meanwhile, and wait until no thread is inside.
        """
        captures = self._captures
        with self._idle:
            if captures.way != "graph":
                self._idle.wait_for(lambda: not self._running)
            if kind in captures.graphs:
                return None
            if captures.took.get(kind, 0.0) > captures.limit:
                captures.graphs[kind] = None
                return None
            log.info("capturing %s by %s", type(self._network).__name__, captures.way)
            expected = network()  # first, so that what a network makes at its first call is there
            try:
                graph = capture(self._network, self._forward, kind, tensors, captures.way)
                if captures.way != "compile":
                    _compare(graph(*tensors), expected)
                captures.add(kind, graph)
            except Exception as error:  # torch's tracers raise what they like, and the network itself works
                self._give_up(kind, error)
            return expected

    def _give_up(self, kind: Kind, error: Exception) -> None:
        captures = self._captures
        captures.graphs[kind] = None
        captures.notes.append(
            f"{type(self._network).__name__} could not be captured by {captures.way} and runs as usual: "
            f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        )
        log.log(logging.INFO if captures.after else logging.WARNING, "%s", captures.notes[-1])


def _compare(ours: Any, theirs: Any) -> None:
    """Refuses a graph that gives other bits than the network."""
    left: list[Tensor] = []
    right: list[Tensor] = []
    kinds = kind_of(ours, left), kind_of(theirs, right)
    if kinds[0] != kinds[1] or not all(torch.equal(a, b) for a, b in zip(left, right, strict=True)):
        raise NotCapturable("the captured network returns other values than the network")
