"""Step caches of diffusers' networks: blocks that are left out for some rows of a pass.

While a pass is cached, the blocks' ``forward`` is replaced on the instances; diffusers' classes are as they were.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from threading import Lock, local
from typing import Any

import torch
from torch import Tensor, nn

from latentry.models import CachedPass
from latentry_diffusers.loading.on_device import on_device

Forward = Callable[..., Any]
ROWLESS = frozenset({"image_rotary_emb", "joint_attention_kwargs", "cross_attention_kwargs"})
"""Arguments of blocks that are the same for all rows."""


@dataclass
class _Pass:
    """One pass through the network.

    Attributes:
        cache: decides which rows are computed, and gives the values of the others.
        rows: how many there are.
        chosen: those that are computed; None as long as it is not decided.
        head: what the part that is left out begins from, (rows, …), where the value is a difference from it.
        text: of all rows after the first block, where later ones take it in one stream with the picture.
        picture: how many tokens of a stream are the picture's, where all blocks take one.
    """

    cache: CachedPass
    rows: int
    picture: int = 0
    chosen: list[int] | None = None
    head: Tensor | None = None
    text: Tensor | None = None
    _index: Tensor | None = None

    def choose(self, first: Tensor | None = None) -> None:
        """Decides which rows are computed."""
        self.chosen = [row for row, chosen in enumerate(self.cache.choose(first)) if chosen]
        self._index = None

    @property
    def whole(self) -> bool:
        """Whether all rows are computed."""
        return self.chosen is not None and len(self.chosen) == self.rows

    def index(self, like: Tensor) -> Tensor:
        """The chosen rows for ``index_select``, made once for all arguments of all blocks."""
        if self._index is None or self._index.device != like.device:
            self._index = on_device(self.chosen or (), like.device, torch.int64)
        return self._index

    def part(self, value: Any) -> Any:
        """The chosen rows of an argument, where it still has all of them."""
        if isinstance(value, Tensor) and value.ndim and len(value) == self.rows:
            return value.index_select(0, self.index(value))
        if isinstance(value, Tensor) and value.ndim and len(value) == 2 * self.rows:  # once more at another time
            return torch.cat([half.index_select(0, self.index(value)) for half in value.chunk(2)])
        if isinstance(value, tuple):
            return tuple(self.part(item) for item in value)
        return value


class BlockCache(ABC):
    """Leaves out blocks that follow one another.

    Args:
        blocks: all that take part, in the order of their run.
    """

    def __init__(self, blocks: Sequence[nn.Module]) -> None:
        self._blocks, self._here = tuple(blocks), local()
        self._lock, self._users = Lock(), 0

    def serving(self, cache: CachedPass | None, rows: int, picture: int = 0) -> AbstractContextManager[None]:
        """Around one evaluation in this thread; those of other threads are not touched.

        Args:
            cache: of the rows; None: all blocks run.
            rows: of the pass.
            picture: how many tokens are the picture's, for a ``StreamCache``.
        """
        return nullcontext() if cache is None else self._serving(_Pass(cache, rows, picture))

    @contextmanager
    def _serving(self, running: _Pass) -> Iterator[None]:
        with self._installed():
            self._here.running = running
            try:
                yield
            finally:
                self._here.running = None

    @contextmanager
    def _installed(self) -> Iterator[None]:
        with self._lock:
            self._users += 1
            if self._users == 1:
                for position, block in enumerate(self._blocks):
                    block.forward = partial(self._call, position, block.forward)
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if self._users == 0:
                    for block in self._blocks:
                        del block.forward

    def _call(self, position: int, forward: Forward, *args: Any, **kwargs: Any) -> Any:
        running: _Pass | None = getattr(self._here, "running", None)
        if running is None:
            return forward(*args, **kwargs)
        return self.call(running, position, forward, *args, **kwargs)

    @abstractmethod
    def call(self, running: _Pass, position: int, forward: Forward, *args: Any, **kwargs: Any) -> Any:
        """What the block at a position gives."""

    def computed(self, running: _Pass, forward: Forward, *args: Any, **kwargs: Any) -> Any:
        """What a block gives for the chosen rows."""
        if running.whole:
            return forward(*args, **kwargs)
        own = {name: value if name in ROWLESS else running.part(value) for name, value in kwargs.items()}
        return forward(*running.part(args), **own)


class TransformerCache(BlockCache):
    """Leaves out all blocks but the first of a transformer. What is kept is what they add to the picture's tokens.

    For blocks that take ``hidden_states`` and ``encoder_hidden_states`` and give both, the latter first. Those after
    them may take and give the text and the picture in one stream, as FLUX.2's do.
    """

    def call(self, running: _Pass, position: int, forward: Forward, *args: Any, **kwargs: Any) -> Any:
        """See ``BlockCache``."""
        if position == 0:
            text, tokens = forward(*args, **kwargs)
            running.choose(tokens - kwargs["hidden_states"] if running.cache.kind == "first-block" else None)
            running.head, running.text = tokens, text
            return text, tokens
        last = position == len(self._blocks) - 1
        if kwargs["encoder_hidden_states"] is None:
            return self._in_one_stream(running, forward, *args, last=last, **kwargs)
        if not running.chosen:
            text, tokens = kwargs["encoder_hidden_states"], kwargs["hidden_states"]
            return text, _ended(running, None) if last else tokens
        text, tokens = self.computed(running, forward, *args, **kwargs)
        return text, _ended(running, tokens) if last else tokens

    def _in_one_stream(self, running: _Pass, forward: Forward, *args: Any, last: bool, **kwargs: Any) -> Tensor:
        text = running.text
        assert text is not None
        stream: Tensor = self.computed(running, forward, *args, **kwargs) if running.chosen else kwargs["hidden_states"]
        if not last:
            return stream
        tokens = _ended(running, stream[:, text.shape[1] :] if running.chosen else None)
        return stream if running.whole else torch.cat([text, tokens], dim=1)


class StreamCache(BlockCache):
    """Leaves out all blocks but the first of a transformer whose blocks take one stream, the picture's tokens first."""

    def call(self, running: _Pass, position: int, forward: Forward, *args: Any, **kwargs: Any) -> Any:
        """See ``BlockCache``."""
        picture, given = running.picture, args[0]
        if position == 0:
            stream: Tensor = forward(*args, **kwargs)
            tokens = stream[:, :picture]
            running.choose(tokens - given[:, :picture] if running.cache.kind == "first-block" else None)
            running.head, running.text = tokens, stream[:, picture:]
            return stream
        stream = self.computed(running, forward, *args, **kwargs) if running.chosen else given
        if position < len(self._blocks) - 1:
            return stream
        tokens = _ended(running, stream[:, :picture] if running.chosen else None)
        assert running.text is not None
        return stream if running.whole else torch.cat([tokens, running.text], dim=1)


def _ended(running: _Pass, tokens: Tensor | None) -> Tensor:
    """The picture's tokens of all rows after the last block; those that were computed keep their bits."""
    head = running.head
    assert head is not None
    if tokens is None:
        return head + running.cache.complete(None)
    if running.whole:
        running.cache.complete(tokens - head)
        return tokens
    index = running.index(tokens)
    every = head + running.cache.complete(tokens - head.index_select(0, index))
    return every.index_copy(0, index, tokens)


class UNetCache(BlockCache):
    """Leaves out all levels of a UNet but the finest (Ma et al. 2023, DeepCache, arXiv:2312.00858, section 3.2).

    What is kept is what they give to its last block.

    Args:
        unet: diffusers' ``UNet2DConditionModel``.
    """

    def __init__(self, unet: Any) -> None:
        super().__init__([*unet.down_blocks[1:], unet.mid_block, *unet.up_blocks[:-1]])
        # a block that goes down gives a state of each of its layers to the block that comes up
        self._states = [len(block.resnets) + len(block.downsamplers or ()) for block in unet.down_blocks[1:]]

    def call(self, running: _Pass, position: int, forward: Forward, *args: Any, **kwargs: Any) -> Any:
        """See ``BlockCache``."""
        if running.chosen is None:
            running.choose()
        last = position == len(self._blocks) - 1
        if running.chosen:
            output = self.computed(running, forward, *args, **kwargs)
            return running.cache.complete(output) if last else output
        if last:
            return running.cache.complete(None)
        given: Tensor = args[0] if args else kwargs["hidden_states"]
        return (given, (given,) * self._states[position]) if position < len(self._states) else given
