"""What a scheduler is: options, and one step written as a generator."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor

from latentry._numerics._denoised import Denoised
from latentry._numerics._grids._sigma_schedule import SigmaSchedule, exact
from latentry._numerics._interval import Interval, NoMemory
from latentry._numerics._noise import Noise
from latentry._numerics._options import Options
from latentry._numerics._processes._point import Point, Query
from latentry._numerics._processes._prediction import Prediction
from latentry._numerics._processes._process import Process
from latentry._specs import Final

if TYPE_CHECKING:
    from latentry._numerics._plan import Hook, Plan
    from latentry._numerics._stepwise import Stepwise

Result = tuple[Tensor, Any] | tuple[Tensor, Any, Point]
"""(x, memory), or (x, memory, reached) where the step got only as far as ``reached``."""
Step = Generator[Query, Denoised, Result]


class Scheduler(Options, ABC):
    """A sampler. Its fields are its options; unknown ones are refused.

    Class attributes:
        Memory: a NamedTuple type, constructible without arguments, of tensors, points, nodes, tuples and plain values.
        adaptive: the step may return how far it got, so the number of evaluations is not known beforehand.
        needs: what an answer must carry beyond the guided output: ``uncond``.
    """

    Memory: ClassVar[type] = NoMemory
    adaptive: ClassVar[bool] = False
    needs: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def step(self, x: Tensor, interval: Interval, memory: Any, noise: Noise) -> Step:
        """One step over an interval. Each ``yield`` of a query gives the network's answer to it.

        Nothing is written into ``x`` or ``memory``, and nothing waits for the device; the coefficients are host
        floats.

        Args:
            x: the sample at ``interval.start``, (batch, …), float32 or float64.
            interval: from where to where.
            memory: what the last step returned; an empty ``Memory()`` on the first.
            noise: standard normal draws of this step.
        """

    def plan(
        self,
        steps: int | None = None,
        *,
        process: Process,
        prediction: Prediction,
        sigmas: SigmaSchedule | Sequence[float],
        final: Final = "zero",
        hooks: Sequence[Hook] = (),
    ) -> Plan:
        """Lays the steps out.

        Args:
            steps: how many; may be left out where ``sigmas`` is a list.
            process: how the checkpoint's noise was added.
            prediction: what the checkpoint's network emits.
            sigmas: the rule that places the steps, or the levels at which they start (σ/α on VP and EDM, σ on flow).
            final: end at σ = 0, or at the least noisy level of training.
            hooks: applied in order to every evaluation.

        Raises:
            IncompatibleError: the parts do not go together.
            OptionError: that many steps cannot be laid out, or a part is none.
        """
        from latentry._numerics._plan import lay_out

        if not isinstance(sigmas, SigmaSchedule):
            sigmas = exact(sigmas)
            steps = len(sigmas.values) if steps is None else steps
        return lay_out(self, steps, process, prediction, sigmas, final, tuple(hooks))

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

        Without further arguments it stands on Stable Diffusion 1.5's process: 1000 timesteps of scaled-linear betas
        from 0.00085 to 0.012, ε, leading spacing with offset 1, the table's last level at the end.

        Raises:
            IncompatibleError: the scheduler chooses its own steps or needs more than one output.
        """
        from latentry._numerics._grids._spacings import Leading
        from latentry._numerics._processes._variance_preserving import VariancePreserving
        from latentry._numerics._stepwise import Stepwise

        process = process or VariancePreserving.from_betas()
        plan = self.plan(steps, process=process, prediction=prediction, sigmas=sigmas or Leading(), final=final)
        return Stepwise(plan, seed=seed)
