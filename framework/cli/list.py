"""`tidegate list`: what a configuration can use, with the settings of each; the refusal codes; the metrics."""

from __future__ import annotations

import argparse
import importlib
import inspect
import pkgutil
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from framework.cli.config import load_from
from framework.config.plugins import Plugins, entry_points, is_check
from framework.config.toml import to_toml
from framework.domain.errors import ConfigurationError, PluginError, suggestion
from framework.domain.strategy import Strategy
from framework.domain.verdicts import refusal_table
from framework.runtime.metrics import metrics_table


@dataclass(frozen=True)
class Listed:
    """One thing to use: what to write after `use =`, what it is for, its settings; or why it does not load."""

    use: str
    summary: str = ""
    settings: type[BaseModel] | None = None
    problem: str = ""


def strategies(plugins: Plugins) -> Iterator[Listed]:
    """Every strategy class in the package, the plugin folders and the entry points. A file that does not load
    is listed with the reason."""
    yield from _classes(plugins, "strategies", _is_strategy, lambda found: found.Settings)
    for name in entry_points("tidegate.strategies"):
        yield _guarded(name, plugins.strategy, lambda found: found.Settings)


def checks(plugins: Plugins) -> Iterator[Listed]:
    """Every check class in the package, the plugin folders and the entry points."""
    yield from _classes(plugins, "risk.checks", is_check, lambda found: found)
    for name in entry_points("tidegate.checks"):
        yield _guarded(name, plugins.check, lambda found: found)


def venues(plugins: Plugins) -> Iterator[Listed]:
    """Every connector in the package, the plugin folders and the entry points."""
    for use in plugins.venues().values():
        try:
            plugin = plugins.connector(use)
        except PluginError as e:
            yield Listed(use, problem=str(e))
            continue
        yield Listed(use, _summary(plugin.settings_model), plugin.settings_model)


def _classes(
    plugins: Plugins,
    package: str,
    is_wanted: Callable[[object], bool],
    settings_of: Callable[[Any], type[BaseModel] | None],
) -> Iterator[Listed]:
    """The wanted classes, in the modules that define them."""
    own = importlib.import_module(package)
    names = [f"{package}.{found.name}" for found in pkgutil.iter_modules(own.__path__)]
    names += [found.name for found in pkgutil.iter_modules([str(path) for path in plugins.paths])]
    for name in names:
        if name.startswith("test_"):
            continue
        try:
            module = plugins.module(name)
        except PluginError as e:
            yield Listed(name, problem=str(e))
            continue
        for found in _defined_in(module):
            if is_wanted(found):
                # Checks are listed by their short name, which is the one that configurations use.
                use = f"{name.replace('risk.checks.', 'risk.')}:{found.__name__}"
                yield Listed(use, _summary(found), settings_of(found))


def _guarded(
    name: str, load: Callable[[str], type[Any]], settings_of: Callable[[Any], type[BaseModel] | None]
) -> Listed:
    try:
        found = load(name)
    except PluginError as e:
        return Listed(name, problem=str(e))
    return Listed(name, _summary(found), settings_of(found))


def _defined_in(module: types.ModuleType) -> list[type[Any]]:
    return [value for value in vars(module).values() if isinstance(value, type) and value.__module__ == module.__name__]


def _is_strategy(found: object) -> bool:
    return isinstance(found, type) and issubclass(found, Strategy)


def _summary(found: type[Any]) -> str:
    """The first paragraph of the docstring, on one line."""
    return " ".join((inspect.getdoc(found) or "").partition("\n\n")[0].split())


CATALOGUES: dict[str, Callable[[Plugins], Iterable[Listed]]] = {
    "venues": venues,
    "strategies": strategies,
    "checks": checks,
}
TABLES: dict[str, Callable[[], str]] = {"refusals": refusal_table, "metrics": metrics_table}


def list_plugins(options: argparse.Namespace) -> int:
    """Print one section, or everything that a configuration can use.

    Raises `ConfigurationError` for an unknown section and for a configuration that can't be used. A plugin that does
    not load is listed with its reason.
    """
    if options.what in TABLES:
        sys.stdout.write(TABLES[options.what]() + "\n")
        return 0
    if options.what and options.what not in CATALOGUES:
        known = suggestion(options.what, [*CATALOGUES, *TABLES])
        raise ConfigurationError(f'list: there is no section "{options.what}"; {known}')
    plugins = Plugins(load_from(options).config.plugin_paths)
    for name in [options.what] if options.what else CATALOGUES:
        sys.stdout.write(f"{name}\n")
        for listed in CATALOGUES[name](plugins):
            sys.stdout.writelines(f"{line}\n" for line in render_listed(listed))
    return 0


def render_listed(listed: Listed) -> Iterator[str]:
    """The lines of one thing: what to write after `use =`, what it is for, and a line per setting."""
    yield f'  use = "{listed.use}"'
    if listed.problem:
        yield f"      does not load: {listed.problem}"
        return
    if listed.summary:
        yield f"      {listed.summary}"
    fields = {} if listed.settings is None else listed.settings.model_fields
    width = max((len(name) for name in fields), default=0)
    for name, field in fields.items():
        kind = f"{type_name(field.annotation)}, {_default(field)}"
        yield f"      {name:<{width}}  {kind}: {field.description or 'no description'}"


def type_name(annotation: Any) -> str:
    """A type in the words of TOML: "whole number", "list of text", "table of number"."""
    shape, arguments = get_origin(annotation), get_args(annotation)
    if shape is Annotated:
        return type_name(arguments[0])
    if shape in (Union, types.UnionType):
        return " or ".join(type_name(member) for member in arguments if member is not type(None))
    if shape is Literal:
        return " or ".join(map(to_toml, arguments))
    if shape in (tuple, list, set, frozenset):
        return f"list of {type_name(arguments[0])}"
    if shape is dict:
        return f"table of {type_name(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return " or ".join(to_toml(member) for member in annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "table"
    return _NAMES.get(getattr(annotation, "__name__", ""), str(getattr(annotation, "__name__", annotation)))


_NAMES = {
    "str": "text",
    "int": "whole number",
    "Decimal": "number",
    "float": "number",
    "bool": "true or false",
    "Path": "path",
    "SecretStr": "secret",
}


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(default, BaseModel):
        return "its own defaults"
    return "not set" if default is None else f"default {to_toml(default)}"
