"""The checks of model families as a pytest class."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from latentry.testing._family._all import CHECKS
from latentry.testing._family._subject import FamilySource, FamilySubject
from latentry.testing._kit._suite import Suite


class FamilySuite(Suite, checks=CHECKS):
    """The checks of a model family as tests.

    ::

        class TestMine(FamilySuite):
            family = "mine"

            @classmethod
            def models(cls, folder):
                return {"mine-small": write_small_model(folder / "small")}

    Class attributes:
        family: a name that is installed, or a ``ModelFamilySpec``.
    """

    RECORD = "ModelFamilySpec"
    family: ClassVar[FamilySource]

    @classmethod
    def models(cls, folder: Path) -> Mapping[str, Path] | None:
        """Folders or files of models by variant, small ones of random weights; None for those that are installed.

        Args:
            folder: empty, for what is written; it lasts as long as the class.
        """
        return None

    @classmethod
    def _resolved(cls) -> FamilySubject:
        return FamilySubject.of(cls.family, models=cls.models(cls._scratch()))
