"""Options of schedulers and of sigma schedules: a frozen model whose errors are Latentry's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from latentry._discovery._options import option_error
from latentry._errors import PluginError


class Options(BaseModel):
    """Options that a person may set. An unknown option or a wrong value raises one ``OptionError``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Refuses an option that hides something of the base class: its method would be gone."""
        super().__pydantic_init_subclass__(**kwargs)
        for name in cls.model_fields:
            base = next((base for base in cls.__mro__[1:] if name in vars(base) and not _is_field(base, name)), None)
            if base is not None:
                raise PluginError(
                    f"The option {name!r} of {cls.__name__} cannot have this name.",
                    why=f"It would hide {base.__name__}.{name}.",
                    remedy="Give the option another name.",
                )

    if not TYPE_CHECKING:  # type checkers should see the fields

        def __init__(self, /, **options: Any) -> None:
            try:
                super().__init__(**options)
            except ValidationError as error:
                raise option_error(type(self).__name__, type(self).model_fields, error) from error


def _is_field(base: type, name: str) -> bool:
    return name in getattr(base, "model_fields", ())
