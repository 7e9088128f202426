"""Plugins: finds and loads what `use = "…"` names.

`module:Class` is looked for in Tidegate's own packages (a check of ours also without its `checks.`), then in the
folders of `plugin_paths`, then among the installed packages. A bare name is an entry point of the groups
`tidegate.strategies`, `tidegate.checks`, `tidegate.connectors`. Code from a folder is imported under a name of its own:
it can't shadow any other module, and its files reach each other by relative imports (`from . import pricing`).
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import pkgutil
import sys
import traceback
import types
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import BaseModel

from framework.domain.errors import (
    CLOSENESS_MIN,
    ConfigurationError,
    NotSupported,
    PluginError,
    hint,
    message_of,
    suggestion,
)
from framework.domain.loading import import_bounded
from framework.domain.mass_cancel import MassCancel
from framework.domain.ports import StatefulCheck
from framework.domain.strategy import Strategy
from framework.domain.venue import Connector, FundMover, KeyAdmin

T = TypeVar("T")

FOLDER_PACKAGE = "tidegate_plugins_"
"""How the names begin under which the code of plugin folders is imported."""
OWN_PACKAGES = ("strategies", "risk", "connectors", "framework")


@dataclass(frozen=True)
class ConnectorPlugin:
    """A connector's module, seen from outside.

    The module has `Settings` (a pydantic model) and `create(name, settings, *, clock, rng)`, with `proxy` as a further
    argument (the address of an HTTP proxy, by default "") where it can connect through one, and `turn`
    (`framework.domain.turns.TakeTurn`) where its own requests take part in the daemon's rate budget. One that ships a
    sandbox also has `SANDBOX`, the package that `python -m` runs and that prints one JSON line when it is ready, whose
    `__main__` has `main(arguments)`, and `sandbox_settings(ready)`, which turns that line into settings; also
    `SandboxOptions`, a pydantic model, where its command line takes more than seed, markets and speed. `folders` are
    those of `plugin_paths`, for a connector that was found there. `access_notes(connector)`, awaited after `start`, is
    what an operator should know of the key beside what it may do (`StatesKeyRights`), a sentence each. `key_admin` and
    `fund_mover` make what `tidegate keys` and the verbs that move funds need, where the venue has that
    (`framework.domain.venue`); without the first, `NO_KEY_ADMIN` is a line that says where keys are made. One with
    settings of its own at the venue, such as leverage, has `operate(settings, words, *, clock, rng, proxy)`, awaited
    for `tidegate venue NAME WORDS…`: it does what the words ask for and returns what to print, line by line.
    """

    use: str
    settings_model: type[BaseModel]
    create: Callable[..., Connector]
    sandbox_module: str = ""
    sandbox_settings: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None
    access_notes: Callable[[Connector], Awaitable[Sequence[str]]] | None = None
    sandbox_options: type[BaseModel] | None = None
    operate: Callable[..., Awaitable[Sequence[str]]] | None = None
    folders: tuple[Path, ...] = ()
    key_admin: Callable[..., KeyAdmin] | None = None
    no_key_admin: str = "this venue has no API for keys; make and revoke them on its website"
    fund_mover: Callable[..., FundMover] | None = None

    def takes(self, name: str) -> bool:
        """Whether the connector's factory has an argument `name`: "proxy" or "turn"."""
        return takes_argument(self.create, name)


@dataclass(frozen=True)
class MassCancelPlugin:
    """What ends an account's orders beside the daemon: the module `mass_cancel` beside a connector's plugin, with
    `Settings`, the connector's, and `mass_cancel`, as `framework.domain.mass_cancel` describes it."""

    settings_model: type[BaseModel]
    make: Callable[..., MassCancel]


class Plugins:
    """Loads plugins, each file once. Every method raises `PluginError` naming file, line and reason."""

    def __init__(self, paths: Sequence[Path] = ()) -> None:
        self.paths = tuple(paths)

    def strategy(self, use: str) -> type[Strategy[Any]]:
        """The strategy class that `use` names. Raises `PluginError` when it does not load or is no `Strategy`."""
        found = self._load(use, "tidegate.strategies")
        if not (isinstance(found, type) and issubclass(found, Strategy)):
            raise PluginError(
                f"{use}: {_describe(found)} is not a strategy; derive it from framework.domain.strategy.Strategy"
            )
        if found.Settings is not None and not _is_model(found.Settings):
            raise PluginError(f"{use}: Settings is {found.Settings!r}; make it a pydantic BaseModel, or leave it out")
        return found

    def check(self, use: str) -> type[BaseModel]:
        """The check that `use` names: a pydantic model with a method `check(proposal, view)`, or, of one that
        remembers, `begin()`.

        Raises `PluginError` when it does not load or is no such model.
        """
        found = self._load(use, "tidegate.checks")
        if not is_check(found):
            raise PluginError(
                f"{use}: {_describe(found)} is not a check; "
                "make it a pydantic BaseModel with check(self, proposal, view)"
            )
        return cast("type[BaseModel]", found)

    def connector(self, use: str) -> ConnectorPlugin:
        """The connector that `use` names: a module, not a class. Raises `PluginError` when it lacks a part."""
        module = self._load(use, "tidegate.connectors")
        settings, create = getattr(module, "Settings", None), getattr(module, "create", None)
        if not _is_model(settings) or not callable(create):
            raise PluginError(
                f"{use}: {_describe(module)} is not a connector; it needs Settings (a pydantic BaseModel) "
                "and create(name, settings, *, clock, rng)"
            )
        return ConnectorPlugin(
            use=use,
            settings_model=cast("type[BaseModel]", settings),
            create=create,
            sandbox_module=getattr(module, "SANDBOX", ""),
            sandbox_settings=getattr(module, "sandbox_settings", None),
            access_notes=getattr(module, "access_notes", None),
            sandbox_options=getattr(module, "SandboxOptions", None),
            operate=getattr(module, "operate", None),
            folders=self.paths if getattr(module, "__name__", "").startswith(FOLDER_PACKAGE) else (),
            key_admin=getattr(module, "key_admin", None),
            no_key_admin=getattr(module, "NO_KEY_ADMIN", ConnectorPlugin.no_key_admin),
            fund_mover=getattr(module, "fund_mover", None),
        )

    def mass_cancel(self, use: str) -> MassCancelPlugin | None:
        """What ends the orders of a connector's accounts beside the daemon, None where it has none: its plugin is not
        loaded for it, because that takes as long as a stream and a whole connector do. Raises `PluginError` when it
        does not load or lacks a part."""
        name = use if "." in use else entry_points("tidegate.connectors").get(use, use)
        folder, dot, _plugin = name.partition(":")[0].rpartition(".")
        if not dot or not self._has_module(f"{folder}.mass_cancel"):
            return None
        module = self._module(f"{folder}.mass_cancel", use)
        settings, make = getattr(module, "Settings", None), getattr(module, "mass_cancel", None)
        if not _is_model(settings) or not callable(make):
            raise PluginError(
                f"{use}: {module.__file__} ends no orders; it needs Settings (a pydantic BaseModel) and "
                "mass_cancel(name, settings, *, clock, rng, turn, stamps, see)"
            )
        return MassCancelPlugin(cast("type[BaseModel]", settings), make)

    def venues(self) -> dict[str, str]:
        """The venues that can be found: name -> what `use` calls its connector.

        They are the folders with a `plugin.py` of the package and of `plugin_paths`, and the installed connectors. A
        name that comes twice is the first one's.
        """
        found = {name: f"connectors.{name}.plugin" for name in shipped_venues("plugin")}
        for folder in self.paths:
            for plugin in sorted(folder.glob("*/plugin.py")):
                found.setdefault(plugin.parent.name, f"{plugin.parent.name}.plugin")
        for name in entry_points("tidegate.connectors"):
            found.setdefault(name, name)
        return found

    def module(self, name: str) -> types.ModuleType:
        """The module `name`, of the package, a plugin folder or what is installed. Raises `PluginError`."""
        return self._module(name, name)

    def _has_module(self, name: str) -> bool:
        if any(folder.joinpath(*name.split(".")).with_suffix(".py").is_file() for folder in self.paths):
            return True
        try:
            return importlib.util.find_spec(name) is not None
        except ModuleNotFoundError:  # of a package on the way
            return False

    def _load(self, use: str, group: str) -> object:
        module_name, colon, attribute = use.partition(":")
        if not colon and "." not in module_name:
            return _entry_point(use, group, paths=self.paths)
        module = self._module(_full_name(module_name), use)
        if not colon:
            return module
        found = getattr(module, attribute, None)
        if found is None:
            public = [name for name in vars(module) if not name.startswith("_")]
            raise PluginError(
                f"{use}: {module.__file__} has no {attribute}; {suggestion(attribute, _classes_of(module) or public)}"
            )
        return cast(object, found)

    def _module(self, name: str, use: str) -> types.ModuleType:
        if name.partition(".")[0] not in OWN_PACKAGES:
            for folder in self.paths:
                stem = folder.joinpath(*name.split("."))
                if stem.with_suffix(".py").is_file() or (stem / "__init__.py").is_file():
                    return _import(f"{_package_for(folder)}.{name}", use)
        return _import(name, use, searched=self.paths)

    def __repr__(self) -> str:
        return f"Plugins(paths={[str(path) for path in self.paths]})"


def _full_name(module: str) -> str:
    """`risk.max_position` is short for `risk.checks.max_position`; every other name is whole."""
    package, _, name = module.partition(".")
    # One dot only: to look for a part of `risk.checks.max_position` inside a folder that does not exist would raise.
    is_short = package == "risk" and name != "" and "." not in name
    is_check = is_short and importlib.util.find_spec(f"risk.checks.{name}") is not None
    return f"risk.checks.{name}" if is_check else module


def shipped_venues(part: str) -> list[str]:
    """The venues of the package whose folder in `connectors` has `part`, for example "plugin" or "sandbox", by name."""
    package = import_bounded("connectors")
    names = [found.name for found in pkgutil.iter_modules(package.__path__) if found.ispkg]
    return [name for name in names if importlib.util.find_spec(f"connectors.{name}.{part}") is not None]


def entry_points(group: str) -> dict[str, str]:
    """The entry points of a group that are installed: name -> `module:Class`."""
    return {point.name: point.value for point in metadata.entry_points(group=group)}


def _entry_point(name: str, group: str, *, paths: Sequence[Path]) -> object:
    for point in metadata.entry_points(group=group):
        if point.name == name:
            try:
                return cast(object, point.load())
            except BaseException as e:
                raise PluginError(_explain(name, e)) from e
    places = f" and is no file in {', '.join(map(str, paths))}" if paths else ""
    known = suggestion(name, entry_points(group))
    raise PluginError(
        f'{name}: no entry point of {group} has this name{places}; write "module:Class" instead, or {known}'
    )


def takes_argument(factory: Callable[..., object], name: str) -> bool:
    """Whether a factory of a plugin has an argument of this name."""
    return name in inspect.signature(factory).parameters


def call_plugin(use: str, function: Callable[..., T], *arguments: Any, **named: Any) -> T:
    """What a function of a plugin returns. Raises `ConfigurationError` when it refuses what it gets, `NotSupported`
    when its venue does not have that, and `PluginError`, with file and line, for whatever else it raises."""
    try:
        return function(*arguments, **named)
    except NotSupported:
        raise
    except ConfigurationError as e:
        raise ConfigurationError(f"{use}: {e}") from e
    except BaseException as e:
        raise PluginError(_explain(use, e, "correct this")) from e


def _import(name: str, use: str, *, searched: Sequence[Path] = ()) -> types.ModuleType:
    try:
        return import_bounded(name)
    except ModuleNotFoundError as e:
        # The module itself is missing, or something that it imports: the remedies differ.
        if e.name is not None and (name == e.name or name.startswith(e.name + ".")):
            folders = ", ".join(map(str, searched)) or "none"
            meant = hint(name, _modules(searched), closeness_min=CLOSENESS_MIN)
            raise PluginError(
                f"{use}: there is no module {name}{meant or '; check the spelling'}; plugin_paths: {folders}"
            ) from e
        raise PluginError(_explain(use, e)) from e
    except BaseException as e:
        # `sys.exit` in a module ends the loading of the plugin, not the program.
        raise PluginError(_explain(use, e)) from e


def _modules(folders: Sequence[Path]) -> Iterator[str]:
    """The modules that may be named: ours, a check's under its short name, and those of the folders."""
    for package, shown in (("strategies", "strategies"), ("risk.checks", "risk")):
        paths = import_bounded(package).__path__
        yield from (f"{shown}.{found.name}" for found in pkgutil.iter_modules(paths))
    yield from (f"connectors.{venue}.plugin" for venue in shipped_venues("plugin"))
    yield from (found.name for found in pkgutil.iter_modules(map(str, folders)))


def _package_for(folder: Path) -> str:
    """A package with a name of its own whose modules are the folder's files: `risk.py` there can't replace our
    `risk`."""
    path = str(folder.resolve())
    name = f"{FOLDER_PACKAGE}{hashlib.sha256(path.encode()).hexdigest()[:12]}"
    if name not in sys.modules:
        package = types.ModuleType(name)
        package.__path__ = [path]
        sys.modules[name] = package
    return name


def _explain(use: str, error: BaseException, remedy: str = "the plugin does not load until this is corrected") -> str:
    """File, line and reason: the place in the plugin where it happened, not in the import machinery."""
    if isinstance(error, SyntaxError):
        return f"{use}: {error.filename}:{error.lineno}: syntax error: {error.msg}; correct this line"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not _is_machinery(frame.filename)]
    place = f"{frames[-1].filename}:{frames[-1].lineno}: " if frames else ""
    return f"{use}: {place}{type(error).__name__}: {message_of(error)}; {remedy}"


def _is_machinery(filename: str) -> bool:
    return filename.startswith("<frozen") or filename in (__file__, importlib.__file__, metadata.__file__)


def begin_once(use: str, settings: object) -> None:
    """Begin a check that remembers, as each run does, to see whether it can. Raises `PluginError` when it can't."""
    if isinstance(settings, StatefulCheck):
        begun = call_plugin(use, settings.begin)
        missing = [name for name in ("follows", "check", "follow") if not hasattr(begun, name)]
        if missing:
            raise PluginError(
                f"{use}: begin() returned {type(begun).__name__}, which has no {missing[0]}; return an object with "
                "follows, check(self, proposal, view) and follow(self, event, view)"
            )


def is_check(found: object) -> bool:
    """Whether it can be a check of the configuration: a settings model that is asked, or begun and then asked."""
    return _is_model(found) and any(callable(getattr(found, name, None)) for name in ("check", "begin"))


def _is_model(found: object) -> bool:
    return isinstance(found, type) and issubclass(found, BaseModel)


def _classes_of(module: types.ModuleType) -> list[str]:
    return [
        name for name, value in vars(module).items() if isinstance(value, type) and value.__module__ == module.__name__
    ]


def _describe(found: object) -> str:
    return getattr(found, "__name__", None) or repr(found)
