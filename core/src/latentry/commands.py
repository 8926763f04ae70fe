"""What commands of plugins share with the core's own: options made of a request's fields, progress, contact sheets.

``FieldCommand`` takes the options that ``options_of`` makes of a model's fields, and ``request_options`` of those of a
request; ``typed_fields`` are those that were given, and ``build`` makes the model of them::

    @click.command(cls=FieldCommand, fields=request_options, own_heading="Output")
    @click.argument("prompt")
    @click.pass_context
    def upscale(context, /, prompt, **_):
        request = build(context, GenerationRequest, {**typed_fields(context), "prompt": prompt})
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from latentry._lazy import lazy_exports

if TYPE_CHECKING:
    from latentry._cli._common_options import complete_files, complete_names, json_option, quiet_option
    from latentry._cli._field_options import FieldCommand, build, options_of, typed_fields
    from latentry._cli._global_options import batch_settings
    from latentry._cli._printing._output import print_table, say
    from latentry._cli._printing._progress import following
    from latentry._cli._request_options import folder_options, prompts_option, request_options, take_policy
    from latentry._cli._saving._sheet import ContactSheet
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "ContactSheet": "_cli._saving._sheet",
            "FieldCommand": "_cli._field_options",
            "batch_settings": "_cli._global_options",
            "build": "_cli._field_options",
            "complete_files": "_cli._common_options",
            "complete_names": "_cli._common_options",
            "folder_options": "_cli._request_options",
            "following": "_cli._printing._progress",
            "json_option": "_cli._common_options",
            "options_of": "_cli._field_options",
            "print_table": "_cli._printing._output",
            "prompts_option": "_cli._request_options",
            "quiet_option": "_cli._common_options",
            "request_options": "_cli._request_options",
            "say": "_cli._printing._output",
            "take_policy": "_cli._request_options",
            "typed_fields": "_cli._field_options",
        },
    )

__all__ = [
    "ContactSheet",
    "FieldCommand",
    "batch_settings",
    "build",
    "complete_files",
    "complete_names",
    "folder_options",
    "following",
    "json_option",
    "options_of",
    "print_table",
    "prompts_option",
    "quiet_option",
    "request_options",
    "say",
    "take_policy",
    "typed_fields",
]
