"""The application: its commands, in the order of its help. A command's module is imported when it is needed."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from latentry._cli._global_options import LEVELS
from latentry._cli._plugin_commands import PluginCommand, plugin_commands
from latentry._cli._settings._file import check_table
from latentry._cli._settings._settable import settings_of

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class Core(NamedTuple):
    """One of the core's own commands.

    Attributes:
        module: has the click command under the command's name.
        summary: the first sentence of its help, so that a list of all imports none; a test compares them.
    """

    module: str
    summary: str


COMMANDS = {
    "generate": Core("_generate", "Draw pictures of PROMPT, or make one again with --from."),
    "batch": Core("_batch", "Draw every line of the file PROMPTS."),
    "show": Core("_show", "Print the recipe in PICTURE."),
    "inspect": Core("_inspect", "Say what a model file or folder is and what it lacks."),
    "convert": Core("_convert", "Write a model in another layout."),
    "plan": Core("_plan", "Show a scheduler's plan as formulas, or export it."),
    "schedulers": Core("_schedulers", "List the schedulers, or describe some in full."),
    "sigmas": Core("_listings", "List the sigma schedules: the noise levels of the steps."),
    "families": Core("_listings", "List the model families, their variants and schedulers."),
    "models": Core("_models", "List the models that have a name, or give one to your own."),
    "guidance": Core("_listings", "List the guidance methods."),
    "controls": Core("_listings", "List the installed networks that steer a model by a picture."),
    "conditioners": Core("_listings", "List the kinds of networks that steer a model."),
    "attention": Core("_attention", "List the attention backends."),
    "matrix": Core("_matrix", "List the schedulers that fit each model, the best first."),
    "schema": Core("_installation._schema", "Print the JSON Schemas of requests and of all options."),
    "check": Core("_installation._check", "Check that plugins do what they declare."),
    "plugins": Core("_installation._plugins", "List the plugins, what each provides, and their problems."),
    "doctor": Core("_installation._doctor", "Look at the installation and say what mends it."),
    "config": Core("_installation._config", "Show your own defaults, or begin a file of them."),
    "completion": Core("_installation._completion", "Print the completion script of a shell."),
}
"""The core's own commands by name."""
PANELS = {
    "Pictures": ("generate", "batch", "show"),
    "Models": ("models", "families", "controls", "conditioners", "inspect", "convert"),
    "Sampling": ("schedulers", "sigmas", "plan", "guidance", "attention", "matrix", "check"),
    "This installation": ("plugins", "doctor", "config", "schema", "completion"),
}
"""The headings of the help; commands of plugins are under one of their own."""
SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class Commands(click.Group):
    """The core's commands, and after them those of plugins. Only an unknown name and the help look for plugins."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS, *sorted(plugin_commands(ctx))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return plugin_commands(ctx).get(cmd_name)
        module = import_module(f"latentry._cli._commands.{COMMANDS[cmd_name].module}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            near = get_close_matches(name, self.list_commands(ctx), n=2)
            hint = f" Did you mean {' or '.join(near)}?" if near else ""
            raise click.UsageError(f"There is no command '{name}'.{hint}", ctx)
        found = super().resolve_command(ctx, args)
        if found[1] is not None and (table := (ctx.default_map or {}).get(name)):
            check_table(name, table, (str(one.name) for one in settings_of(name, found[1], ctx)))
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        named = {name for names in PANELS.values() for name in names}
        others = [name for name in self.list_commands(ctx) if name not in named]
        wide = max(map(len, (*named, *others)))
        for heading, names in (*PANELS.items(), ("More", others)):
            limit = formatter.width - 6 - wide
            if rows := [(name.ljust(wide), self._summary(ctx, name, limit)) for name in names]:
                with formatter.section(heading):
                    formatter.write_dl(rows)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        found = [CompletionItem(name, help=self._summary(ctx, name)) for name in names]
        return found + super(click.Group, self).shell_complete(ctx, incomplete)

    def _summary(self, ctx: click.Context, name: str, limit: int = 80) -> str:
        command = click.Command(name, help=COMMANDS[name].summary) if name in COMMANDS else plugin_commands(ctx)[name]
        return command.get_short_help_str(limit)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except Exception:
            command = self.get_command(ctx, ctx.invoked_subcommand or "")
            if not isinstance(command, PluginCommand):
                raise
            with command.blamed():
                raise


def _version(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        from latentry._cli._printing._output import say
        from latentry._cli._version import version_lines

        for line in version_lines():
            say(line)
        context.exit()


@click.command(
    cls=Commands,
    context_settings=SETTINGS,
    epilog="--plugin-dir, --debug and --log-level can be given with every command.",
)
@click.option(
    "--plugin-dir", metavar="PATH", multiple=True, help="Load a .py file or a folder as a plugin; repeatable."
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Print versions.")
@click.option("--debug", is_flag=True, help="Print the traceback of an error; LATENTRY_DEBUG=1 does so too.")
@click.option(
    "--log-level", type=click.Choice(LEVELS), help="What of the log is shown on standard error.  [default: warning]"
)
def app(plugin_dir: tuple[str, ...], debug: bool, log_level: str | None) -> None:
    """Generate images with diffusion models; schedulers, models and more come as plugins."""
