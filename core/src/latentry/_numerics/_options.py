"""Options of schedulers and of sigma schedules: closed, frozen, and refused in Latentry's own words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from latentry._discovery._options import option_error


class Options(BaseModel):
    """What a person may set. An option that it does not know, or a value it refuses, is one ``OptionError``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    if not TYPE_CHECKING:  # a type checker is to see the fields

        def __init__(self, /, **options: Any) -> None:
            try:
                super().__init__(**options)
            except ValidationError as error:
                raise option_error(type(self).__name__, type(self).model_fields, error) from error
