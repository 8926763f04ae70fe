"""Networks that come to the device only while they are used; the device is a stand-in that hands out copies."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from support.stand_in import Record, bytes_of, tensors
from torch import Tensor, nn

from latentry import MemoryPolicy
from latentry._memory._ahead import Pinned, SideStream
from latentry.models import offloaded

CPU = torch.device("cpu")
MODEL, BLOCKS, PAIRS = (
    MemoryPolicy(offload="model"),
    MemoryPolicy(offload="blocks"),
    MemoryPolicy(offload="blocks", blocks_per_group=2),
)


class Network(nn.Module):
    """A layer before blocks and one after them."""

    def __init__(self, blocks: int = 4) -> None:
        super().__init__()
        self.before, self.after = nn.Linear(2, 2), nn.Linear(2, 2)
        self.body: Any = nn.ModuleDict({"blocks": nn.ModuleList(nn.Linear(2, 2) for _ in range(blocks))})
        self.register_buffer("offset", torch.ones(2))

    def forward(self, x: Tensor) -> Tensor:
        x = self.before(x)
        for block in self.body["blocks"]:
            x = block(x).tanh()
        last: Tensor = self.after(x) + self.offset
        return last


class Autoencoder(nn.Module):
    """Two ways through, neither of which is ``forward``."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.Linear(2, 3), nn.Linear(3, 2)

    def encode(self, x: Tensor) -> Tensor:
        encoded: Tensor = self.encoder(x)
        return encoded

    def decode(self, z: Tensor) -> Tensor:
        decoded: Tensor = self.decoder(z)
        return decoded


def model(**networks: nn.Module) -> Any:
    """What ``offloaded`` sees of a ``Model``."""
    return SimpleNamespace(networks={part: network.requires_grad_(False) for part, network in networks.items()})


@pytest.fixture
def trio() -> Any:
    """A text encoder, a denoiser and an autoencoder."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        return model(text_encoder=Network(2), unet=Network(5), vae=Autoencoder())


def use(trio: Any) -> Tensor:
    """As a request does."""
    parts = trio.networks
    x = parts["text_encoder"](torch.ones(1, 2))
    for _ in range(2):
        x = parts["unet"](x)
    decoded: Tensor = parts["vae"].decode(parts["vae"].encode(x))
    return decoded


def test_whole_models_take_turns(trio: Any) -> None:
    expected, device = use(trio), Record(trio.networks)
    with offloaded(trio, device=CPU, policy=MODEL, move=device.move):
        assert device.here == frozenset()
        assert torch.equal(use(trio), expected)
    assert device.parts == ["text_encoder", "unet", "vae"]
    for name, here in device.order:
        part = name.split(".")[0]
        assert here == {f"{part}.{tensor}" for tensor in tensors(trio.networks[part])}
    assert device.peak == max(bytes_of(network) for network in trio.networks.values())
    assert device.here == frozenset()


@pytest.mark.parametrize(("policy", "size"), [(BLOCKS, 1), (PAIRS, 2)])
def test_groups_of_blocks_take_turns(trio: Any, policy: MemoryPolicy, size: int) -> None:
    expected, device = use(trio), Record(trio.networks)
    with offloaded(trio, device=CPU, policy=policy, move=device.move):
        assert torch.equal(use(trio), expected)
    for name, here in device.order:
        part = name.split(".")[0]
        assert {each.split(".")[0] for each in here} == {part}
        blocks = {int(each.split(".")[3]) for each in here if ".blocks." in each}
        if ".blocks." in name:
            first = int(name.split(".")[3]) // size * size
            total = len(trio.networks[part].body["blocks"])
            assert blocks == set(range(first, min(first + size, total)))
        elif part != "vae":
            assert blocks == set()
    unet = trio.networks["unet"]
    blocks_of_one_group = unet.body["blocks"][:size]
    trunk = bytes_of(unet.before, unet.after) + unet.offset.nbytes
    assert device.peak == max(trunk + bytes_of(*blocks_of_one_group), bytes_of(trio.networks["vae"]))
    assert device.here == frozenset()


def named(part: str, network: nn.Module) -> list[tuple[str, Tensor]]:
    return [(f"{part}.{name}", tensor) for name, tensor in tensors(network).items()]


class Later:
    """A stand-in for a device with a stream for copies: a copy holds nothing until it is waited for."""

    def __init__(self, parts: Any) -> None:
        self.names = {id(tensor): name for part in parts for name, tensor in named(part, parts[part])}
        self.told: list[tuple[str, str]] = []
        self._copies: dict[int, tuple[Tensor, Tensor]] = {}

    @property
    def on_the_way(self) -> int:
        return len(self._copies)

    def begin(self, tensor: Tensor) -> Tensor:
        copy = torch.full_like(tensor, torch.nan)
        self._copies[id(copy)] = copy, tensor
        self.told.append(("begin", self.names[id(tensor)]))
        return copy

    def wait(self, copies: Iterable[Tensor]) -> None:
        for copy in copies:
            _, tensor = self._copies.pop(id(copy))
            copy.copy_(tensor)
            self.told.append(("wait", self.names[id(tensor)]))


def test_the_next_blocks_are_copied_while_the_present_ones_run(trio: Any) -> None:
    """What was begun is waited for before it is used, and a copy begins before the block ahead of its own runs."""
    expected, ahead = use(trio), Later(trio.networks)
    unet = trio.networks["unet"]
    blocks = list(unet.body["blocks"])
    policy = MemoryPolicy(offload="blocks", prefetch=True)
    with offloaded(trio, device=CPU, policy=policy, move=lambda t, d: t.clone(), ahead=lambda device: ahead):
        for number, block in enumerate(blocks):
            block.register_forward_hook(lambda *args, number=number: ahead.told.append(("ran", str(number))))
        assert torch.equal(use(trio), expected)
        ahead.told.clear()
        assert torch.equal(use(trio), expected)
    weights = [f"unet.body.blocks.{number}.weight" for number in range(len(blocks))]
    ran = [index for index, (what, _) in enumerate(ahead.told) if what == "ran"]
    for number in range(1, len(blocks)):
        begun, waited = ahead.told.index(("begin", weights[number])), ahead.told.index(("wait", weights[number]))
        before = ran[number - 2] if number > 1 else -1
        assert before < begun < ran[number - 1] < waited < ran[number]


def test_no_copy_is_dropped_while_it_is_on_its_way(trio: Any) -> None:
    """The memory of one would be used again while the other stream still writes into it."""
    ahead, policy = Later(trio.networks), MemoryPolicy(offload="blocks", prefetch=True)
    blocks = list(trio.networks["unet"].body["blocks"])
    with offloaded(trio, device=CPU, policy=policy, move=lambda t, d: t.clone(), ahead=lambda device: ahead):
        for _ in range(2):
            for number in (0, 1, 2):
                blocks[number](torch.ones(1, 2))
        blocks[0](torch.ones(1, 2))
        assert ahead.on_the_way == len(list(blocks[0].parameters()))
        blocks[3](torch.ones(1, 2))  # the second was expected
        assert ahead.on_the_way == 0
        blocks[0](torch.ones(1, 2))
        assert ahead.on_the_way > 0
    assert ahead.on_the_way == 0


def test_copies_that_fail_halfway_are_waited_for(trio: Any) -> None:
    class Full(Later):
        room = 100
        waits = 0

        def begin(self, tensor: Tensor) -> Tensor:
            if self.room == 0:
                raise torch.OutOfMemoryError("full")
            self.room -= 1
            return super().begin(tensor)

        def wait(self, copies: Iterable[Tensor]) -> None:
            self.waits += 1
            super().wait(copies)

    ahead, policy = Full(trio.networks), MemoryPolicy(offload="blocks", prefetch=True)
    blocks = list(trio.networks["unet"].body["blocks"])
    before = {part: traces(network) for part, network in trio.networks.items()}
    with offloaded(trio, device=CPU, policy=policy, move=lambda t, d: t.clone(), ahead=lambda device: ahead):
        for number in (0, 1, 0):
            blocks[number](torch.ones(1, 2))
        ahead.room, ahead.waits = 1, 0  # the weight, and not the bias
        with pytest.raises(torch.OutOfMemoryError):
            blocks[1](torch.ones(1, 2))
        assert ahead.waits > 1, "the expected one, and the half"
    assert {part: traces(network) for part, network in trio.networks.items()} == before


def test_a_copy_waits_for_what_may_still_use_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """``SideStream`` with recorded streams: its copies run on its own stream, after all that was queued before."""
    told: list[str] = []

    class Stream:
        def __init__(self, name: str) -> None:
            self.name = name

        def wait_stream(self, other: Stream) -> None:
            told.append(f"{self.name} waits for {other.name}")

    streams = [Stream("main")]

    @contextmanager
    def on(stream: Stream) -> Iterator[None]:
        streams.append(stream)
        yield
        streams.pop()

    empty_like, copy_ = torch.empty_like, Tensor.copy_
    monkeypatch.setattr("torch.cuda.Stream", lambda device: Stream("side"))
    monkeypatch.setattr("torch.cuda.current_stream", lambda device: streams[-1])
    monkeypatch.setattr("torch.cuda.stream", on)
    monkeypatch.setattr(
        "torch.empty_like", lambda *a, **k: told.append(f"{streams[-1].name} has room") or empty_like(*a, **k)
    )
    monkeypatch.setattr(Tensor, "copy_", lambda *a, **k: told.append(f"{streams[-1].name} copies") or copy_(*a, **k))
    side, weight = SideStream(CPU, Pinned(Tensor.clone)), nn.Parameter(torch.arange(3.0))
    copy = side.begin(weight)
    side.wait([copy])
    assert torch.equal(copy, weight)
    assert told == ["main has room", "side waits for main", "side copies", "main waits for side"]


def test_a_pinned_copy_is_kept_as_long_as_its_weight() -> None:
    """Until other LoRAs are worn, which may have changed it."""
    made: list[Tensor] = []

    def pin(tensor: Tensor) -> Tensor:
        made.append(tensor.clone())
        return made[-1]

    pinned, weights = Pinned(pin), [nn.Parameter(torch.full((2,), float(number))) for number in range(2)]
    for _ in range(2):
        assert [pinned.under(None).copy(weight).tolist() for weight in weights] == [[0.0] * 2, [1.0] * 2]
    assert len(made) == 2
    weights[0].data = weights[0].data + 5.0
    assert pinned.under("worn").copy(weights[0]).tolist() == [5.0] * 2
    assert len(made) == 3
    gone = weakref.ref(made.pop())
    weights.clear()
    assert gone() is None


def test_nothing_is_copied_ahead_unless_asked_for(trio: Any) -> None:
    ahead = Later(trio.networks)
    with offloaded(trio, device=CPU, policy=BLOCKS, move=lambda t, d: t.clone(), ahead=lambda device: ahead):
        use(trio)
    assert not ahead.told


@pytest.mark.parametrize("policy", [MODEL, BLOCKS])
def test_it_comes_off_without_a_trace(trio: Any, policy: MemoryPolicy) -> None:
    before = {part: traces(network) for part, network in trio.networks.items()}
    with offloaded(trio, device=CPU, policy=policy, move=lambda tensor, device: tensor.clone()):
        use(trio)
        assert {part: traces(network) for part, network in trio.networks.items()} != before
    assert {part: traces(network) for part, network in trio.networks.items()} == before


def traces(network: nn.Module) -> Any:
    """Where each tensor is and what it holds, each module's hooks, and its own attributes."""
    held = {name: (id(tensor), tensor.data_ptr(), tensor.tolist()) for name, tensor in tensors(network).items()}
    hooks = [
        (dict(m._forward_pre_hooks), dict(m._forward_pre_hooks_with_kwargs), dict(m._forward_hooks))
        for m in network.modules()
    ]
    return held, hooks, [sorted(vars(module)) for module in network.modules()]


@pytest.mark.parametrize("policy", [MODEL, BLOCKS])
def test_an_exception_leaves_nothing_on_the_device(trio: Any, policy: MemoryPolicy) -> None:
    before = {part: traces(network) for part, network in trio.networks.items()}
    with (
        pytest.raises(InterruptedError),
        offloaded(trio, device=CPU, policy=policy, move=lambda tensor, device: tensor.clone()),
    ):
        trio.networks["unet"](torch.ones(1, 2))
        raise InterruptedError
    assert {part: traces(network) for part, network in trio.networks.items()} == before


@pytest.mark.parametrize("policy", [MODEL, BLOCKS])
def test_a_device_that_is_full_halfway_is_freed_at_once(trio: Any, policy: MemoryPolicy) -> None:
    room, moved = 3, []

    def move(tensor: Tensor, device: torch.device) -> Tensor:
        if len(moved) == room:
            raise torch.OutOfMemoryError("full")
        moved.append(tensor)
        return tensor.clone()

    everything = [tensor for network in trio.networks.values() for tensor in tensors(network).values()]
    with offloaded(trio, device=CPU, policy=policy, move=move):
        with pytest.raises(torch.OutOfMemoryError):
            use(trio)
        now = [tensor for network in trio.networks.values() for tensor in tensors(network).values()]
        assert all(tensor is home for tensor, home in zip(now, everything, strict=True))
        room = 10**6
        assert torch.isfinite(use(trio)).all()  # and may be used again


def test_a_tensor_of_several_blocks_stays_with_the_trunk() -> None:
    network = Network(3)
    blocks = network.body["blocks"]
    blocks[2].weight = blocks[0].weight
    tied = model(unet=network)
    expected, device = network(torch.ones(1, 2)), Record(tied.networks)
    with offloaded(tied, device=CPU, policy=BLOCKS, move=device.move):
        assert torch.equal(network(torch.ones(1, 2)), expected)
    assert all("unet.body.blocks.0.weight" in here for _, here in device.order)


def test_the_inputs_of_networks_are_moved_too(trio: Any) -> None:
    """meta in place of the device: what stayed at home would not go with it."""
    meta = torch.device("meta")
    with offloaded(trio, device=meta, policy=MODEL):
        assert use(trio).device == meta
        assert all(tensor.device == meta for tensor in tensors(trio.networks["vae"]).values())
        assert all(tensor.device == CPU for tensor in tensors(trio.networks["unet"]).values())
    assert all(tensor.device == CPU for network in trio.networks.values() for tensor in tensors(network).values())


def test_without_offload_nothing_happens(trio: Any) -> None:
    before = {part: traces(network) for part, network in trio.networks.items()}
    with offloaded(trio, device=CPU, policy=MemoryPolicy(), move=lambda tensor, device: tensor.clone()):
        assert {part: traces(network) for part, network in trio.networks.items()} == before


def test_a_policy_is_json_and_takes_nothing_unknown() -> None:
    policy = MemoryPolicy(offload="blocks", blocks_per_group=2, vae_tiling=256, dtypes={"vae": "float32"})
    assert MemoryPolicy.model_validate_json(policy.model_dump_json()) == policy
    for wrong in (
        {"offload": "disk"},
        {"blocks_per_group": 0},
        {"blocks_per_group": 2},
        {"offload": "model", "blocks_per_group": 2},
        {"prefetch": True},
        {"dtypes": {"vae": "float8"}},
        {"tiles": True},
    ):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            MemoryPolicy(**wrong)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("policy", [MODEL, BLOCKS])
def test_on_a_gpu_it_is_the_same(trio: Any, policy: MemoryPolicy) -> None:
    expected = use(trio)
    with offloaded(trio, device="cuda", policy=policy):
        found = use(trio)
    assert torch.allclose(found.cpu(), expected, atol=1e-5)
    torch.cuda.synchronize()
    assert all(tensor.device == CPU for network in trio.networks.values() for tensor in tensors(network).values())
