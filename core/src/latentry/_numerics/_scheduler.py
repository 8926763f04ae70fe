"""The base class of schedulers: a step method that can be laid out on a grid."""

from __future__ import annotations

from collections.abc import Sequence

from latentry._errors import OptionError
from latentry._numerics._grids._preferred import preferred_sigmas
from latentry._numerics._grids._sigma_schedule import SigmaSchedule, exact
from latentry._numerics._grids._spacings import Leading
from latentry._numerics._layout import Hook
from latentry._numerics._plan import Plan, check_parts, lay_out
from latentry._numerics._processes._prediction import Prediction
from latentry._numerics._processes._process import Process
from latentry._numerics._processes._variance_preserving import VariancePreserving
from latentry._numerics._running._stepwise import Stepwise
from latentry._numerics._step import StepMethod
from latentry._specs import Final


class Scheduler(StepMethod):
    """A sampler. Its fields are its options; unknown ones are refused.

    Class attributes:
        Memory: a NamedTuple type, constructible without arguments, of tensors, points, nodes, tuples and plain values.
        adaptive: the step may return how far it got, so the number of evaluations is not known beforehand.
        needs: what an answer must carry beyond the guided output: ``uncond``.
    """

    def plan(
        self,
        steps: int | None = None,
        *,
        process: Process,
        prediction: Prediction,
        sigmas: SigmaSchedule | Sequence[float] | None = None,
        shift: float | None = None,
        final: Final | None = None,
        hooks: Sequence[Hook] = (),
    ) -> Plan:
        """Lays out steps on a noise process.

        Args:
            steps: how many; may be left out where ``sigmas`` is a list.
            process: how the checkpoint's noise was added.
            prediction: what the checkpoint's network emits.
            sigmas: the rule that places the steps, or the levels at which they start (σ/α on VP and EDM, σ on flow); by
                default what the scheduler's record prefers for so many steps.
            shift: the checkpoint's time shift, for the schedule that the record prefers; 3 for SD3.
            final: end at σ = 0 (``zero``), or at the least noisy level of training (``table``); by default as the
                record prefers, and at σ = 0 where ``sigmas`` are given.
            hooks: applied in order to every evaluation.

        Raises:
            IncompatibleError: the parts do not go together.
            OptionError: that many steps cannot be laid out, or an argument is of the wrong kind.
        """
        end: Final = "zero"
        if sigmas is None:
            check_parts(steps, process, prediction)
            assert steps is not None
            sigmas, end = preferred_sigmas(type(self), steps, process, shift)
        elif shift is not None:
            raise OptionError(
                "A time shift has no effect beside sigmas.",
                why="It is for the sigma schedule that the scheduler prefers.",
                remedy="Give it to the sigma schedule, for example Karras(shift=3), or leave the sigmas out.",
            )
        elif not isinstance(sigmas, SigmaSchedule):
            sigmas = exact(sigmas)
            steps = len(sigmas.values) if steps is None else steps
        return lay_out(self, steps, process, prediction, sigmas, end if final is None else final, tuple(hooks))

    def build(
        self,
        steps: int,
        *,
        process: Process | None = None,
        prediction: Prediction = Prediction.EPSILON,
        sigmas: SigmaSchedule | Sequence[float] | None = None,
        final: Final = "table",
        seed: int = 0,
    ) -> Stepwise:
        """The stepwise interface of the field: ``timesteps``, ``sigmas``, ``scale_model_input``, ``step``.

        The defaults are Stable Diffusion 1.5's: 1000 timesteps with scaled-linear betas from 0.00085 to 0.012, a
        network that predicts ε, leading spacing with offset 1, and an end at the table's cleanest level.

        Raises:
            IncompatibleError: the scheduler chooses its own steps or needs more than one output.
        """
        process = process or VariancePreserving.from_betas()
        plan = self.plan(steps, process=process, prediction=prediction, sigmas=sigmas or Leading(), final=final)
        return Stepwise(plan, seed=seed)
