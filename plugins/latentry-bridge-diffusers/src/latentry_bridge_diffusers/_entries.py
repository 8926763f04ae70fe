"""The list of timesteps that a pipeline loops over, and which step it means by an entry of it."""

from __future__ import annotations

from dataclasses import dataclass

from latentry import OptionError, Plan, Query


@dataclass(frozen=True)
class Entries:
    """One entry for each evaluation of a plan, and behind them those to spare, which repeat the last.

    Attributes:
        plan: all steps.
        order: how many entries a pipeline counts for a step when it cuts the list; None where it counts entries.
        spare: entries to spare.
    """

    plan: Plan
    order: int | None
    spare: int = 0

    @classmethod
    def of(cls, plan: Plan, *, counts_entries: bool, begins_late: bool) -> Entries:
        """The list for a pipeline.

        Args:
            plan: all steps.
            counts_entries: the pipeline cuts by entries, and not by steps.
            begins_late: leave entries to spare, so that the rest of the plan fits wherever the list is cut.
        """
        if counts_entries:
            return cls(plan, None)
        order = _usual(plan.evaluations_by_step or ())
        whole = cls(plan, order)
        if order == 1 or not begins_late:
            return whole
        missing = (len(_queries(plan[step:])) - (len(whole) - step * order) for step in range(1, len(plan)))
        return cls(plan, order, max(0, *missing))

    def __len__(self) -> int:
        return len(_queries(self.plan)) + self.spare

    def from_plan(self, plan: Plan, entry: int = 0) -> tuple[Query, ...]:
        """The list of a run that begins at an entry and follows a plan, the rest of this one."""
        listed = (*_queries(self.plan)[:entry], *_queries(plan))
        return listed + listed[-1:] * (len(self) - len(listed))

    def rest(self, entry: int) -> Plan:
        """The rest of the plan for a list that is cut at an entry: from the step that is meant on, or from the first
        behind it whose evaluations fit.

        Raises:
            OptionError: none does.
        """
        for step in range(self.meant(entry), len(self.plan)):
            plan = self.plan[step:] if step else self.plan
            if len(_queries(plan)) <= len(self) - entry:
                return plan
        raise OptionError(
            f"The run is to begin at entry {entry} of {len(self)} timesteps.",
            why="The scheduler takes fewer evaluations in some steps than in others.",
            remedy="Raise the strength or the number of steps, or use a scheduler such as unipc.",
        )

    def meant(self, entry: int) -> int:
        """The step that a pipeline means which cuts the list there."""
        return self.listed(entry) if self.order is None or entry % self.order else entry // self.order

    def listed(self, entry: int) -> int:
        """The first step that begins at an entry or behind it."""
        behind = _queries(self.plan)[entry:]
        return next((query.index for query in behind if query.stage == 0), len(self.plan))


def _queries(plan: Plan) -> tuple[Query, ...]:
    return plan.queries or ()


def _usual(by_step: tuple[int, ...]) -> int:
    """The number of evaluations that most steps take; of two as frequent the larger."""
    return max(set(by_step), key=lambda count: (by_step.count(count), count))
