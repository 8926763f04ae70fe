"""Plans as numbers: what ``Plan.table`` gives, and files of it.

Names are imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from latentry._lazy import lazy_exports

if TYPE_CHECKING:
    from latentry._numerics._table._file import MadeFor, PlanFile
    from latentry._numerics._table._formula import formulas
    from latentry._numerics._table._table import Combine, Draw, Evaluate, Guard, NoTable, Table, TableStep, Term
    from latentry._numerics._table._transition import Transition
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "Combine": "_numerics._table._table",
            "Draw": "_numerics._table._table",
            "Evaluate": "_numerics._table._table",
            "Guard": "_numerics._table._table",
            "MadeFor": "_numerics._table._file",
            "NoTable": "_numerics._table._table",
            "PlanFile": "_numerics._table._file",
            "formulas": "_numerics._table._formula",
            "Table": "_numerics._table._table",
            "TableStep": "_numerics._table._table",
            "Term": "_numerics._table._table",
            "Transition": "_numerics._table._transition",
        },
    )

__all__ = [
    "Combine",
    "Draw",
    "Evaluate",
    "Guard",
    "MadeFor",
    "NoTable",
    "PlanFile",
    "Table",
    "TableStep",
    "Term",
    "Transition",
    "formulas",
]
