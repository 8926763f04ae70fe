"""What a network's output means: every form agrees with x = α·x₀ + σ·ε and with the type's own definition."""

from __future__ import annotations

import math

import pytest
import torch
from support.oracles import SD, ZTSNR, emitted, noise
from torch import Tensor

from latentry import EDM, Denoised, Flow, Point, Prediction, Process
from latentry._numerics._processes._prediction import forms

X0, EPS = noise(2, 3, seed=1), noise(2, 3, seed=2)
PROCESSES = pytest.mark.parametrize("process", [SD, ZTSNR, Flow(), EDM()], ids=["sd", "ztsnr", "flow", "edm"])
PREDICTIONS = pytest.mark.parametrize("prediction", list(Prediction), ids=str)
LAMS = (-4.0, -1.3, 0.0, 0.9, 3.0, 6.0)


def evaluation(prediction: Prediction, point: Point) -> Denoised:
    """Of a network that knows the truth."""
    output = emitted(prediction, point, X0, EPS)
    return Denoised(point.mix(X0, EPS), point, output, forms(prediction, point))


def same(a: Tensor, b: Tensor) -> bool:
    return bool(torch.allclose(a, b, rtol=1e-9, atol=1e-9))


@PROCESSES
@PREDICTIONS
def test_the_truth_is_read_from_every_prediction_on_every_process(process: Process, prediction: Prediction) -> None:
    for lam in LAMS:
        answer = evaluation(prediction, process.at(lam=lam))
        assert same(answer.x0, X0)
        assert same(answer.eps, EPS)
        assert same(answer.v, EPS - X0)


@PROCESSES
@PREDICTIONS
def test_both_halves_add_up_to_the_sample_whatever_the_output(process: Process, prediction: Prediction) -> None:
    x, output = noise(4, seed=3), noise(4, seed=4)
    for lam in LAMS:
        point = process.at(lam=lam)
        answer = Denoised(x, point, output, forms(prediction, point, process.data_std))
        assert same(point.mix(answer.x0, answer.eps), x)


@PROCESSES
@PREDICTIONS
def test_the_first_order_step_keeps_both_halves(process: Process, prediction: Prediction) -> None:
    answer = evaluation(prediction, process.at(lam=-1.0))
    for end in (process.at(lam=1.5), process.at(lam=-1.5), process.clean()):
        assert same(answer.at(end), end.mix(X0, EPS))


@pytest.mark.parametrize("prediction", [Prediction.V, Prediction.X0, Prediction.FLOW, Prediction.EDM], ids=str)
@pytest.mark.parametrize("process", [ZTSNR, Flow()], ids=["ztsnr", "flow"])
def test_pure_noise_is_understood_by_all_but_the_noise_prediction(process: Process, prediction: Prediction) -> None:
    point = process.noisiest
    output = noise(4, seed=5)
    x = noise(4, seed=6)
    answer = Denoised(x, point, output, forms(prediction, point))
    meant = {Prediction.V: -output, Prediction.X0: output, Prediction.FLOW: x - output, Prediction.EDM: 0.5 * output}
    assert same(answer.eps, x)
    assert same(answer.x0, meant[prediction])


@pytest.mark.parametrize("prediction", [p for p in Prediction if p is not Prediction.X0], ids=str)
@PROCESSES
def test_the_clean_end_is_understood_by_all_but_the_clean_prediction(process: Process, prediction: Prediction) -> None:
    x = noise(4, seed=7)
    answer = Denoised(x, process.clean(), noise(4, seed=8), forms(prediction, process.clean()))
    assert same(answer.x0, x)
    assert bool(answer.eps.isfinite().all())


def test_the_noise_prediction_is_refused_at_pure_noise() -> None:
    with pytest.raises(ValueError, match="α = 0"):
        forms(Prediction.EPSILON, Flow().noisiest)


def test_the_clean_prediction_is_refused_at_no_noise() -> None:
    with pytest.raises(ValueError, match="σ = 0"):
        forms(Prediction.X0, SD.clean())


@pytest.mark.parametrize("sigma", [0.01, 0.5, 20.0])
def test_edms_output_is_that_of_its_table_1(sigma: float) -> None:
    data_std = 0.4
    answer = forms(Prediction.EDM, EDM(data_std=data_std).at(s=sigma), data_std)
    assert answer.x0_x == pytest.approx(data_std**2 / (sigma**2 + data_std**2))
    assert answer.x0_out == pytest.approx(sigma * data_std / math.sqrt(sigma**2 + data_std**2))


@PREDICTIONS
def test_a_replaced_x0_takes_the_noise_with_it(prediction: Prediction) -> None:
    point, other = SD.at(lam=-0.5), noise(2, 3, seed=9)
    answer = evaluation(prediction, point).with_x0(other)
    assert torch.equal(answer.x0, other)
    assert same(point.mix(answer.x0, answer.eps), answer.x)
    end = SD.at(lam=1.0)
    assert same(answer.at(end), end.mix(other, answer.eps))


def test_a_replaced_x0_at_no_noise_leaves_the_noise_alone() -> None:
    answer = evaluation(Prediction.V, SD.clean())
    assert torch.equal(answer.with_x0(torch.zeros_like(X0)).eps, answer.eps)


def test_the_step_to_no_noise_is_x0_itself() -> None:
    answer = evaluation(Prediction.EPSILON, SD.at(lam=-2.0))
    assert torch.equal(answer.at(SD.clean()), answer.x0)


def test_the_unguided_answer_is_read_in_the_same_form() -> None:
    point = SD.at(lam=0.3)
    unguided = emitted(Prediction.V, point, X0, EPS)
    answer = Denoised(
        point.mix(X0, EPS), point, torch.zeros_like(X0), forms(Prediction.V, point), uncond=unguided, real=False
    )
    assert answer.uncond is not None
    assert same(answer.uncond.x0, X0)
    assert not answer.uncond.real
    assert evaluation(Prediction.V, point).uncond is None
