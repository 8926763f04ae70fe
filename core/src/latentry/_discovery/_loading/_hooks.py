"""What pluggy is given of a plugin, and how each hook is called."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from types import FunctionType, ModuleType
from typing import Any, TypeGuard

import pluggy

from latentry import hookspecs
from latentry._discovery._kinds import KINDS, Kind
from latentry._errors import PluginError

HOOKS = tuple(kind.hook for kind in KINDS)
UNKNOWN_FIELD = re.compile(r"(\w+)\.__init__\(\) got an unexpected keyword argument '(\w+)'.*")


class HookSet:
    """The marked functions of a plugin, which are all that pluggy sees of it.

    Given the module, pluggy might read every attribute that ``dir()`` gives, and so import the lazy ones.
    """

    def __init__(self, plugin: object) -> None:
        found = vars(plugin) if isinstance(plugin, ModuleType) else _members(plugin)
        routines = {name: value for name, value in found.items() if _is_routine(value)}
        self.marked = {name: value for name, value in routines.items() if _mark(value) is not None}
        self.unmarked = sorted(set(HOOKS) & (routines.keys() - self.marked.keys()))
        vars(self).update(self.marked)

    def __dir__(self) -> list[str]:
        return list(self.marked)  # pluggy inspects every name of it, which took a twelfth of a listing


def new_manager() -> pluggy.PluginManager:
    """A manager that knows the hooks and no plugin."""
    manager = pluggy.PluginManager(hookspecs.GROUP)
    manager.add_hookspecs(hookspecs)
    return manager


def register(manager: pluggy.PluginManager, key: str, plugin: object) -> HookSet:
    """Register a plugin's hooks; a plugin with any mistake in them is not accepted."""
    hooks = HookSet(plugin)
    _check_marks(hooks)
    for name, function in hooks.marked.items():
        _check_hook(name, function)
    manager.register(hooks, name=key)
    try:
        manager.check_pending()
    except pluggy.PluginValidationError:
        manager.unregister(hooks)
        raise
    return hooks


def hook_names(manager: pluggy.PluginManager, hooks: HookSet) -> tuple[str, ...]:
    """The hooks that a plugin implements."""
    return tuple(sorted(caller.name for caller in manager.get_hookcallers(hooks) or ()))


def call(manager: pluggy.PluginManager, hooks: HookSet, kind: Kind[Any]) -> list[object]:
    """One plugin's answer to one hook; the others are left out, so its failure is its own."""
    others = [plugin for plugin in manager.get_plugins() if plugin is not hooks]
    answers: list[object] = manager.subset_hook_caller(kind.hook, others)()
    if not answers:
        raise PluginError(
            f"hook '{kind.hook}' returned nothing.", remedy=f"It must yield {kind.record.__name__} records."
        )
    records: list[object] = []
    for answer in answers:
        if not isinstance(answer, Iterable):
            raise PluginError(
                f"hook '{kind.hook}' returned {type(answer).__name__}, which is not iterable.",
                remedy=f"It must yield {kind.record.__name__} records.",
            )
        try:
            records.extend(answer)
        except TypeError as error:
            raise _unknown_field(error) or error from error
    return records


def _unknown_field(error: TypeError) -> PluginError | None:
    """What to say where a record was given a field that this core's class does not have."""
    match = UNKNOWN_FIELD.fullmatch(str(error))
    if match is None or match[1] not in {kind.record.__name__ for kind in KINDS}:
        return None
    return PluginError(
        f"this version of latentry has no field '{match[2]}' in {match[1]}.",
        remedy="If the plugin is for a newer version: upgrade latentry.",
    )


def _members(plugin: object) -> dict[str, object]:
    return {name: getattr(plugin, name, None) for name in dir(plugin)}


def _is_routine(value: object) -> TypeGuard[Callable[..., object]]:
    # the cheap questions come first: most of what a module holds are values and classes
    return callable(value) and not isinstance(value, type) and inspect.isroutine(value)


def _mark(function: object) -> dict[str, Any] | None:
    mark = getattr(function, f"{hookspecs.GROUP}_impl", None)
    return mark if isinstance(mark, dict) else None


def _check_marks(hooks: HookSet) -> None:
    if hooks.unmarked:
        raise PluginError(
            f"function '{hooks.unmarked[0]}' has the name of a hook but is not marked as one.",
            remedy="Write @latentry.hookimpl above it.",
        )
    if not hooks.marked:
        raise PluginError(
            "it implements no hook.",
            remedy=f"Mark at least one of these with @latentry.hookimpl: {', '.join(HOOKS)}.",
        )


def _check_hook(name: str, function: Callable[..., object]) -> None:
    """What pluggy would reject, in words that the author of the plugin can act on."""
    options = _mark(function) or {}
    hook = options.get("specname") or name
    if hook not in HOOKS:
        if options.get("optionalhook"):
            return
        near = get_close_matches(hook, HOOKS, n=1, cutoff=0.5)
        raise PluginError(
            f"this version of latentry has no hook '{hook}'.",
            why=f"The hooks are {', '.join(HOOKS)}.",
            remedy=f"Is '{near[0]}' meant?" if near else "A newer version of latentry may have it.",
        )
    if isinstance(function, FunctionType) and not (function.__code__.co_argcount or hasattr(function, "__wrapped__")):
        return  # as nearly all are; a signature takes far longer than calling them
    asked = [
        parameter.name
        for parameter in inspect.signature(function).parameters.values()
        if parameter.default is parameter.empty and parameter.kind < parameter.VAR_POSITIONAL
    ]
    if asked:
        raise PluginError(
            f"hook '{hook}' has the parameter {', '.join(map(repr, asked))}, which latentry does not pass.",
            why=f"The hook is called without arguments: {hook}().",
            remedy="If the plugin is for a newer version: upgrade latentry.",
        )
