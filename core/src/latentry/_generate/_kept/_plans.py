"""Plans that are kept between requests, so that their tables are recorded once."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

from latentry._numerics._plan import Plan

MOST = 16


class KeptPlans:
    """The plans of the last requests. Recording a table takes as long as a few steps, walking one a part of that."""

    def __init__(self) -> None:
        self._plans: OrderedDict[str, Plan] = OrderedDict()
        self._lock = Lock()

    def __call__(self, plan: Plan) -> Plan:
        """The kept plan that is equal to this one, else this one, which is kept from now on."""
        name = plan.fingerprint  # says nothing of the process but its kind
        with self._lock:
            kept = self._plans.pop(name, None)
            same = plan if kept is None or kept != plan else kept
            self._plans[name] = same
            if len(self._plans) > MOST:
                self._plans.popitem(last=False)
        return same
