"""The models in memory: which are kept between requests, and what goes when another one comes."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Collection, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock

from torch import nn

from latentry._contract._model import Checkpoint, Model, StoresWeights
from latentry._discovery import plugin_call
from latentry._errors import UnknownName
from latentry._generate._kept._loaded_model import LoadedModel
from latentry._memory._out_of_memory import reporting_out_of_memory
from latentry._resolve._setup import Setup

Key = tuple[Hashable, ...]


@dataclass(frozen=True)
class Resident:
    """A model in memory.

    Attributes:
        name: as it is asked for.
        bytes: of its weights; what is made of them (``fast``, graphs) is not counted.
        device: where they are while they are not used.
        dtype: what its denoiser runs in.
        pinned: it stays whatever comes.
        used: how many requests use it now.
    """

    name: str
    bytes: int
    device: str
    dtype: str
    pinned: bool
    used: int


@dataclass
class _Kept:
    loaded: LoadedModel
    name: str
    bytes: int


class Models:
    """Loads models, each once, and keeps them within a budget; the one that was not used for longest goes first.

    Models that requests use, and those that are pinned, are never dropped; where they alone exceed the budget, it is
    exceeded.

    Args:
        budget: bytes of weights; None keeps the models of the last request alone.
    """

    def __init__(self, budget: int | None = None) -> None:
        self._budget = budget
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()
        self._sizes: dict[Key, int] = {}
        self._used: Counter[Key] = Counter()
        self._pinned: set[str] = set()
        self._last: Collection[Key] = ()
        self._loading, self._lock = Lock(), Lock()

    @contextmanager
    def lend(self, setup: Setup) -> Iterator[tuple[LoadedModel, ...]]:
        """The models of a setup, which stay meanwhile."""
        loaded = self.load(setup, use=1)
        try:
            yield loaded
        finally:
            with self._lock:
                self._used -= Counter(dict.fromkeys(setup.networks, 1))
                self._make_room(self._last, 0)

    def load(self, setup: Setup, *, use: int = 0) -> tuple[LoadedModel, ...]:
        """The model, and after it its refiner and its guidance's, where there are any."""
        wanted = setup.networks
        with self._loading:
            with self._lock:
                missing = {key: wanted[key] for key in wanted if key not in self._kept}
                # others go first, before their memory is needed
                self._make_room(wanted, sum(self._sizes.get(key, 0) for key in missing))
            new = {key: self._loaded(setup, key, checkpoint) for key, checkpoint in missing.items()}
            with self._lock:
                self._kept |= new
                self._used.update(dict.fromkeys(wanted, use))
                self._last = tuple(wanted)
                for key in wanted:
                    self._kept.move_to_end(key)
                self._make_room(wanted, 0)
                return tuple(self._kept[key].loaded for key in wanted)

    def _loaded(self, setup: Setup, key: Key, checkpoint: Checkpoint) -> _Kept:
        with reporting_out_of_memory("loading the model"), plugin_call(checkpoint):
            if setup.memory.weights != "plain" and isinstance(checkpoint, StoresWeights):
                checkpoint = checkpoint.storing(setup.memory.weights)
            model = checkpoint.load(setup.home, setup.dtype, setup.memory.dtypes)
        self._sizes[key] = size_of(model)
        return _Kept(LoadedModel(model), setup.names[key], self._sizes[key])

    def residents(self) -> tuple[Resident, ...]:
        """The models in memory, the one that was not used for longest first."""
        with self._lock:
            return tuple(
                Resident(
                    kept.name,
                    kept.bytes,
                    str(kept.loaded.model.device),
                    str(kept.loaded.model.dtype).removeprefix("torch."),
                    kept.name in self._pinned,
                    self._used[key],
                )
                for key, kept in self._kept.items()
            )

    def unload(self, name: str) -> int:
        """Drops a model, pinned or not, and returns the bytes of its weights; requests that use it end with it.

        Raises:
            UnknownName: no such model is in memory.
        """
        with self._lock:
            keys = [key for key, kept in self._kept.items() if kept.name == name]
            if not keys:
                names = ", ".join(dict.fromkeys(kept.name for kept in self._kept.values())) or "none"
                raise UnknownName(f"The model {name!r} is not in memory.", remedy=f"Loaded: {names}.")
            return sum(self._kept.pop(key).bytes for key in keys)

    def pin(self, name: str, pinned: bool) -> None:
        """Keeps a model in memory from when it is loaded, or no longer."""
        with self._lock:
            self._pinned.add(name) if pinned else self._pinned.discard(name)

    def _make_room(self, wanted: Collection[Key], coming: int) -> None:
        """Drops models, from the one that was not used for longest, until those that come fit in."""
        held = coming + sum(kept.bytes for kept in self._kept.values())
        for key, kept in list(self._kept.items()):
            if self._budget is not None and held <= self._budget:
                return
            if key not in wanted and not self._used[key] and kept.name not in self._pinned:
                del self._kept[key]
                held -= kept.bytes


def size_of(model: Model) -> int:
    """Bytes of a model's weights, each tensor once."""
    tensors = {id(tensor): tensor for network in model.networks.values() for tensor in _tensors(network)}
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


def _tensors(network: nn.Module) -> Iterator[nn.Parameter]:
    yield from network.parameters()
    yield from network.buffers()  # type: ignore[misc]  # both are tensors
