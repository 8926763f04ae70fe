"""Writes a model in another form, through its family."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from latentry._contract._conversion import Conversion
from latentry._discovery import PluginHost, host_callback
from latentry._errors import IncompatibleError, OptionError
from latentry._files._finding._locate import Located
from latentry._specs import ModelFiles

Converter = Callable[[ModelFiles, str, Conversion], tuple[Path, ...]]


def convert(host: PluginHost, located: Located, conversion: Conversion) -> tuple[Path, ...]:
    """Writes a model in another form.

    Args:
        host: what is installed.
        located: the model.
        conversion: the form to write.

    Returns:
        The files or folders that were written.

    Raises:
        IncompatibleError: its family cannot convert, or its weights are quantised.
        ModelError: its files are damaged or do not belong together.
        OptionError: the target exists already, or an option is wrong or has no effect.
        ResourceError: the disk is too full.
    """
    if conversion.max_shard_size is not None and conversion.to != "sharded":
        raise OptionError(
            f"A largest size of {conversion.max_shard_size} has no effect on the form {conversion.to!r}.",
            why="Only the form 'sharded' is cut into several files.",
            remedy="Leave the size out, or write the form 'sharded'.",
        )
    if not host.families[located.family].converter:
        raise IncompatibleError(
            f"Models of the family {located.family} cannot be converted.",
            why="The family has no converter.",
            remedy="Use the files as they are.",
        )
    converter: Converter = host.families.load(located.family, "converter")
    record = located.checkpoint
    known = {} if record is None or record.guidance is None else {"latentry.guidance": f"{record.guidance:g}"}
    metadata = {**known, **conversion.metadata}
    cancelling = replace(conversion, progress=host_callback(conversion.progress), metadata=metadata)
    with host.families.calling(located.family):
        return converter(located.files, located.variant.name, cancelling)
