"""Resolution: from a valid configuration to loaded plugins with checked settings, or every reason why not.

`tidegate check-config` stops here; `tidegate run` gives the result to the daemon. Nothing is started.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import BaseModel

from framework.config.errors import Origins, parse_settings
from framework.config.layers import Loaded
from framework.config.model import CheckRow, Configuration, StrategyRow, VenueRow
from framework.config.plugins import ConnectorPlugin, Plugins
from framework.domain.errors import ConfigurationError, PluginError, suggestion
from framework.domain.ports import Check, Clock, Rng
from framework.domain.strategy import Strategy
from framework.domain.venue import Connector

K = TypeVar("K")
R = TypeVar("R")
T = TypeVar("T")


@dataclass(frozen=True)
class ResolvedVenue:
    """A venue with its connector. `settings` is None while an embedded sandbox has yet to give the missing ones."""

    name: str
    row: VenueRow
    plugin: ConnectorPlugin
    settings: BaseModel | None
    origins: Origins

    def sandbox_command(self, directory: Path) -> tuple[str, list[str]]:
        """The module that `python -m` runs as this venue's embedded sandbox, and its arguments."""
        options = self.row.sandbox
        arguments = {
            "--port": 0,
            "--dir": directory,
            "--seed": options.seed,
            "--markets": options.markets,
            "--speed": options.speed,
        }
        return self.plugin.sandbox_module, [str(word) for pair in arguments.items() for word in pair]

    def connector(self, *, clock: Clock, rng: Rng, sandbox_ready: Mapping[str, Any] | None = None) -> Connector:
        """Build the connector. `sandbox_ready` is the line that the embedded sandbox printed, as a dict.

        Raises `ConfigurationError` when the settings are incomplete or the connector refuses them.
        """
        settings = self.settings
        if sandbox_ready is not None and self.plugin.sandbox_settings is not None:
            raw = {**self.row.settings, **self.plugin.sandbox_settings(sandbox_ready)}
            settings = parse_settings(self.plugin.settings_model, raw, key=self._key, origins=self.origins)
        if settings is None:
            raise ConfigurationError(f"{self._key}: incomplete until the embedded sandbox is ready; start it first")
        proxy = {"proxy": self.row.proxy} if self.row.proxy else {}
        return self.plugin.create(self.name, settings, clock=clock, rng=rng, **proxy)

    @property
    def _key(self) -> str:
        return f"venues.{self.name}.settings"


@dataclass(frozen=True)
class ResolvedStrategy:
    """A strategy's class with its settings: `factory(name, settings, desk)` makes it."""

    name: str
    row: StrategyRow
    factory: type[Strategy[Any]]
    settings: BaseModel | None


@dataclass(frozen=True)
class Resolved:
    """Everything the daemon is put together from, in the order of the configuration."""

    config: Configuration
    loaded: Loaded
    venues: tuple[ResolvedVenue, ...]
    strategies: tuple[ResolvedStrategy, ...]
    checks: tuple[tuple[str, Check], ...]

    @property
    def is_embedded(self) -> bool:
        """Whether every venue is an embedded sandbox, whose orders and positions begin anew; otherwise none is."""
        return all(venue.row.embedded_sandbox for venue in self.venues)


def resolve(loaded: Loaded) -> Resolved:
    """Load every plugin and check every table of settings. Raises `ConfigurationError` with all problems at once."""
    config, origins = loaded.config, loaded.origins
    plugins = Plugins(config.plugin_paths)
    problems = [*_mixed_venues(loaded), *_unknown_venues(loaded)]
    resolved = Resolved(
        config=config,
        loaded=loaded,
        venues=_each("venues", config.venues.items(), partial(_venue, plugins, origins), loaded, problems=problems),
        strategies=_each(
            "strategies", config.strategies.items(), partial(_strategy, plugins, origins), loaded, problems=problems
        ),
        checks=_each("checks", enumerate(config.checks), partial(_check, plugins, origins), loaded, problems=problems),
    )
    if problems:
        raise ConfigurationError("\n".join(problems))
    return resolved


def _each(
    table: str, rows: Iterable[tuple[K, R]], make: Callable[[K, R], T], loaded: Loaded, *, problems: list[str]
) -> tuple[T, ...]:
    made: list[T] = []
    for name, row in rows:
        try:
            made.append(make(name, row))
        except PluginError as e:
            key = f"{table}.{name}.use"
            problems.append(f"{loaded.origin(key)}: {key}: {e}")
        except ConfigurationError as e:
            problems.extend(str(e).splitlines())
    return tuple(made)


def _venue(plugins: Plugins, origins: Origins, name: str, row: VenueRow) -> ResolvedVenue:
    plugin = plugins.connector(row.use)
    if row.embedded_sandbox and (not plugin.sandbox_module or plugin.sandbox_settings is None):
        raise ConfigurationError(
            f"venues.{name}.embedded_sandbox: {row.use} ships no sandbox; "
            f"set it to false and give venues.{name}.settings"
        )
    if row.proxy and not plugin.takes_proxy:
        raise ConfigurationError(f"venues.{name}.proxy: {row.use} can't use a proxy; leave the key out")
    settings = parse_settings(
        plugin.settings_model,
        row.settings,
        key=f"venues.{name}.settings",
        origins=origins,
        is_partial=row.embedded_sandbox,
    )
    return ResolvedVenue(name, row, plugin, settings, origins)


def _strategy(plugins: Plugins, origins: Origins, name: str, row: StrategyRow) -> ResolvedStrategy:
    factory = plugins.strategy(row.use)
    settings = parse_settings(factory.Settings, row.settings, key=f"strategies.{name}.settings", origins=origins)
    return ResolvedStrategy(name, row, factory, settings)


def _check(plugins: Plugins, origins: Origins, index: int, row: CheckRow) -> tuple[str, Check]:
    model = plugins.check(row.use)
    settings = parse_settings(model, row.settings, key=f"checks.{index}.settings", origins=origins)
    return row.use.rpartition(":")[2], cast(Check, settings)


def _mixed_venues(loaded: Loaded) -> list[str]:
    """An embedded sandbox begins anew at each start and an account does not: no journal can be of both."""
    embedded = [name for name, row in loaded.config.venues.items() if row.embedded_sandbox]
    if len(embedded) in (0, len(loaded.config.venues)):
        return []
    key = f"venues.{embedded[0]}.embedded_sandbox"
    others = ", ".join(name for name in loaded.config.venues if name not in embedded)
    return [
        f"{loaded.origin(key)}: {key}: an embedded sandbox begins anew at each start, the account of {others} does "
        "not: one journal can't be of both. Run two daemons with a state_dir each, or start the sandbox by itself with "
        "`tidegate sandbox` and give its address in the settings"
    ]


def _unknown_venues(loaded: Loaded) -> list[str]:
    """An instrument pattern of a venue that isn't there would never match: a strategy would silently do nothing."""
    problems = []
    for name, row in loaded.config.strategies.items():
        for pattern in row.instruments:
            venue, colon, _symbol = pattern.partition(":")
            key = f"strategies.{name}.instruments"
            if not colon:
                problems.append(f'{loaded.origin(key)}: {key}: "{pattern}" names no venue; write it like "kalshi:*"')
            elif not any(fnmatchcase(known, venue) for known in loaded.config.venues):
                remedy = suggestion(venue, loaded.config.venues)
                problems.append(f'{loaded.origin(key)}: {key}: "{pattern}": no venue is named {venue}; {remedy}')
    return problems
