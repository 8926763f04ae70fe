"""Options of schedulers and of sigma schedules: a frozen model whose errors are Latentry's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from latentry._discovery._options import option_error


class Options(BaseModel):
    """Options that a person may set. An unknown option or a wrong value raises one ``OptionError``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    if not TYPE_CHECKING:  # type checkers should see the fields

        def __init__(self, /, **options: Any) -> None:
            try:
                super().__init__(**options)
            except ValidationError as error:
                raise option_error(type(self).__name__, type(self).model_fields, error) from error
