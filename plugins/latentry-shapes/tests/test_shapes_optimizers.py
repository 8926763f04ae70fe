"""Every weight has one optimiser; a transformer's matrices have one that steps equally far in all directions."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from latentry_shapes._optimizers import optimizers
from latentry_shapes.designs import DESIGNS


@pytest.mark.slow
@pytest.mark.parametrize("name", DESIGNS)
@pytest.mark.parametrize("muon", [False, True])
def test_every_weight_has_one_optimizer(name: str, muon: bool) -> None:
    network = DESIGNS[name].denoiser()
    held = [p for each in optimizers(network, 1e-3, muon=muon) for group in each.param_groups for p in group["params"]]
    assert len(held) == len({id(p) for p in held})
    assert {id(p) for p in held} == {id(p) for p in network.parameters()}


def test_only_matrices_within_blocks_are_muons() -> None:
    network = DESIGNS["shapes-sd3"].denoiser()
    _, muon = optimizers(network, 1e-3, muon=True)
    held = {id(p) for group in muon.param_groups for p in group["params"]}
    names = {name for name, weight in network.named_parameters() if id(weight) in held}
    assert "transformer_blocks.0.attn.to_q.weight" in names
    assert not names & {"context_embedder.weight", "proj_out.weight", "transformer_blocks.0.attn.to_q.bias"}
    assert len(optimizers(network, 1e-3, muon=False)) == 1


def stretches(muon: bool) -> Tensor:
    """The singular values of one step of a matrix whose gradient is nearly all in one direction."""
    torch.manual_seed(0)
    network = nn.Module()
    network.blocks = nn.Linear(32, 32)
    weight: Tensor = network.blocks.weight
    before = weight.detach().clone()
    gradient = torch.outer(torch.randn(32), torch.randn(32)) + 0.1 * torch.randn(32, 32)
    weight.grad = gradient
    for each in optimizers(network, 1e-3, muon=muon):
        each.step()
    return torch.linalg.svdvals(weight.detach() - before)


def test_muon_moves_all_directions_alike_and_as_far_as_adamw() -> None:
    ours, adamw = stretches(muon=True), stretches(muon=False)
    assert float(ours[0] / ours[-4]) < 3
    assert float(adamw[0] / adamw[-4]) > 10
    assert 0.1 < float(ours.norm() / adamw.norm()) < 1
