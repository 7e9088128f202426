"""The catalogue: every venue, strategy and check that a configuration could use, found by looking."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from framework.domain.errors import PluginError
from framework.domain.strategy import Strategy
from framework.plugins import Plugins, entry_points


@dataclass(frozen=True)
class Listed:
    """One thing to use: what to write, what it is for, its settings; or why it does not load."""

    use: str
    summary: str = ""
    settings: type[BaseModel] | None = None
    problem: str = ""


def strategies(plugins: Plugins) -> Iterator[Listed]:
    """Every strategy class in the package, the plugin folders and the entry points."""
    yield from _classes(plugins, "strategies", _is_strategy, lambda found: found.Settings)
    for name in entry_points("tidegate.strategies"):
        yield _guarded(name, plugins.strategy, lambda found: found.Settings)


def checks(plugins: Plugins) -> Iterator[Listed]:
    """Every check class in the package, the plugin folders and the entry points."""
    yield from _classes(plugins, "risk", _is_check, lambda found: found)
    for name in entry_points("tidegate.checks"):
        yield _guarded(name, plugins.check, lambda found: found)


def venues(plugins: Plugins) -> Iterator[Listed]:
    """Every connector in the package and the entry points."""
    package = importlib.import_module("connectors")
    uses = [f"connectors.{found.name}.plugin" for found in pkgutil.iter_modules(package.__path__) if found.ispkg]
    for use in [*(use for use in uses if importlib.util.find_spec(use)), *entry_points("tidegate.connectors")]:
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
                yield Listed(f"{name}:{found.__name__}", _summary(found), settings_of(found))


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


def _is_check(found: object) -> bool:
    return isinstance(found, type) and issubclass(found, BaseModel) and callable(getattr(found, "check", None))


def _summary(found: type[Any]) -> str:
    """The first paragraph of the docstring, on one line."""
    return " ".join((inspect.getdoc(found) or "").partition("\n\n")[0].split())
