"""Resolution: from a valid configuration to loaded plugins with checked settings, or every reason why not.

`tidegate check-config` stops here; `tidegate run` gives the result to the daemon. Nothing is started.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import BaseModel

from framework.config.checks import FIRST, LAST, order_of_checks
from framework.config.errors import Origins, Tree, parse_settings
from framework.config.layers import Loaded, holds_path
from framework.config.model import AlertOutputRow, CheckRow, Configuration, StrategyRow, VenueRow
from framework.config.plugins import (
    ConnectorPlugin,
    MassCancelPlugin,
    Plugins,
    begin_once,
    call_plugin,
    takes_argument,
)
from framework.domain.errors import ConfigurationError, PluginError, suggestion
from framework.domain.mass_cancel import MassCancel
from framework.domain.ports import AnyCheck, Clock, Desk, Rng
from framework.domain.strategy import Strategy
from framework.domain.turns import TakeTurn, no_limits
from framework.domain.venue import Connector

R = TypeVar("R", VenueRow, StrategyRow, CheckRow)
T = TypeVar("T")

_OPTIONAL = frozenset({"turn", "session_path"})
"""Arguments that a factory of a plugin need not have."""

_OUTPUT_KEYS = {
    "webhook": ("template", "address_path", "token_path", "chat_id", "proxy"),
    "command": ("argv",),
}
"""Which keys belong to which kind of output; the others belong to both."""

GUARDS = {FIRST: "risk.trading_state:TradingStateCheck", LAST: "risk.rate_budget:RateBudget"}
"""The checks that are always asked where money is real: without them a halt would not hold, and the venue would
refuse what its rate limit leaves no room for."""


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
        } | {f"--{key.replace('_', '-')}": value for key, value in options.options.items()}
        return self.plugin.sandbox_module, [str(word) for pair in arguments.items() for word in pair]

    def connector(
        self,
        *,
        clock: Clock,
        rng: Rng,
        sandbox_ready: Mapping[str, Any] | None = None,
        turn: TakeTurn = no_limits,
    ) -> Connector:
        """Build the connector. `sandbox_ready` is the line that the embedded sandbox printed, as a dict; `turn` gives
        its own requests their part of the rate budget, where its factory takes that.

        Raises `ConfigurationError` when the settings are incomplete, the connector refuses them, or its plugin breaks.
        """
        return self.call(self.plugin.create, sandbox_ready=sandbox_ready, turn=turn, clock=clock, rng=rng)

    def call(self, factory: Callable[..., T], *, sandbox_ready: Mapping[str, Any] | None = None, **further: Any) -> T:
        """What another factory of the plugin makes of this account, as `connector` is made. Of `further` it gets
        `clock` and `rng`, and what else it has an argument for. Raises `ConfigurationError` like `connector`, and
        `NotSupported` when the venue does not have that."""
        settings = self.settings
        if sandbox_ready is not None and self.plugin.sandbox_settings is not None:
            raw = {**self.row.settings, **self.plugin.sandbox_settings(sandbox_ready)}
            settings = parse_settings(self.plugin.settings_model, raw, key=self._key, origins=self.origins)
        if settings is None:
            raise ConfigurationError(f"{self._key}: incomplete until the embedded sandbox is ready; start it first")
        given = further | ({"proxy": self.row.proxy} if self.row.proxy else {})
        given = {name: value for name, value in given.items() if name not in _OPTIONAL or takes_argument(factory, name)}
        return call_plugin(self._key, factory, self.name, settings, **given)

    @property
    def _key(self) -> str:
        return f"venues.{self.name}.settings"


@dataclass(frozen=True)
class ResolvedAccount:
    """A venue's account for a process beside the daemon that ends its orders."""

    name: str
    row: VenueRow
    plugin: MassCancelPlugin
    origins: Origins

    def mass_cancel(self, kept: Mapping[str, Any], **given: Any) -> MassCancel:
        """What ends its orders. `kept` are the settings that an embedded sandbox has given, empty for another venue.
        Raises `ConfigurationError` for settings that can't be used, and like the plugin."""
        key = f"venues.{self.name}.settings"
        settings = parse_settings(
            self.plugin.settings_model, {**self.row.settings, **kept}, key=key, origins=self.origins
        )
        given |= {"proxy": self.row.proxy} if self.row.proxy else {}
        return call_plugin(key, self.plugin.make, self.name, settings, **given)


@dataclass(frozen=True)
class ResolvedStrategy:
    """A strategy's class with its settings: `make(name, settings, desk)` makes it."""

    name: str
    row: StrategyRow
    factory: type[Strategy[Any]]
    settings: BaseModel | None

    def make(self, name: str, settings: Any, desk: Desk) -> Strategy[Any]:
        """The strategy as its class makes it. Raises `PluginError`, with file and line, for what the constructor
        raises."""
        return call_plugin(f"strategies.{name}: {self.row.use}", self.factory, name, settings, desk)

    def names(self, venue: str) -> bool:
        """Whether one of its instrument patterns is about this venue."""
        return any(fnmatchcase(venue, pattern.partition(":")[0]) for pattern in self.row.instruments)

    def trades_at(self, venue: str) -> bool:
        """Whether it may open positions at this venue."""
        return self.row.trade_anything or self.names(venue)


@dataclass(frozen=True)
class Resolved:
    """Everything the daemon is put together from, in the order of the configuration."""

    config: Configuration
    loaded: Loaded
    venues: tuple[ResolvedVenue, ...]
    strategies: tuple[ResolvedStrategy, ...]
    checks: tuple[tuple[str, AnyCheck], ...]
    missing_guards: tuple[str, ...] = ()
    """Of the checks that no venue outside this machine may be without, those that are not asked."""

    @property
    def is_embedded(self) -> bool:
        """Whether every venue is an embedded sandbox, whose orders and positions begin anew; otherwise none is."""
        return all(venue.row.embedded_sandbox for venue in self.venues)

    @property
    def is_unguarded(self) -> bool:
        """Whether somebody switched the trading states off, and has not only forgotten them."""
        row = self.config.checks.get(FIRST)
        return row is not None and not row.enabled

    @property
    def notes(self) -> tuple[str, ...]:
        """What whoever starts this should know, a line each: what is switched off, replaced or ignored."""
        return (*self.loaded.notes, *_switched_off(self.loaded))


def resolve(loaded: Loaded) -> Resolved:
    """Load every plugin that is switched on, and check its settings. Raises `ConfigurationError` with all problems at
    once."""
    config = loaded.config
    plugins = Plugins(config.plugin_paths)
    problems = [
        *_missing_folders(loaded), *_mixed_venues(loaded), *_unknown_venues(loaded), *_wrong_outputs(loaded)
    ]  # fmt: skip
    venues = _each("venues", config.venues, partial(_venue, plugins), loaded, problems=problems)
    strategies = _each("strategies", config.strategies, partial(_strategy, plugins), loaded, problems=problems)
    checks = _each("checks", _checks_in_order(loaded, problems), partial(_check, plugins), loaded, problems=problems)
    if problems:
        raise ConfigurationError("\n".join(problems))
    return Resolved(config, loaded, venues, strategies, checks, missing_guards=_missing_guards(plugins, checks))


def resolve_accounts(
    loaded: Loaded, names: Collection[str] = ()
) -> tuple[tuple[ResolvedAccount, ...], tuple[str, ...]]:
    """The accounts whose orders can be ended beside the daemon, of the venues that are switched on or of those with
    these names, and why the others can't: one that is wrong keeps nobody else from it."""
    problems: list[str] = []
    rows = {name: row for name, row in loaded.config.venues.items() if not names or name in names}
    plugins = Plugins(loaded.config.plugin_paths)
    return _each("venues", rows, partial(_account, plugins), loaded, problems=problems), tuple(problems)


def _checks_in_order(loaded: Loaded, problems: list[str]) -> Mapping[str, CheckRow]:
    rows = loaded.config.checks
    try:
        return {name: rows[name] for name in order_of_checks(rows)}
    except ConfigurationError as e:
        problems.extend(str(e).splitlines())
        return rows


def _missing_guards(plugins: Plugins, checks: Sequence[tuple[str, AnyCheck]]) -> tuple[str, ...]:
    # By what is asked, not by its name: another class under the name of ours guards nothing.
    return tuple(
        name for name, use in GUARDS.items() if not any(isinstance(check, plugins.check(use)) for _, check in checks)
    )


def _switched_off(loaded: Loaded) -> Iterator[str]:
    config = loaded.config
    tables: dict[str, Mapping[str, VenueRow | StrategyRow | CheckRow | AlertOutputRow]] = {
        "venues": config.venues,
        "strategies": config.strategies,
        "checks": config.checks,
        "alerts.outputs": config.alerts.outputs,
    }
    for table, rows in tables.items():
        for name, row in rows.items():
            if not row.enabled:
                key = f"{table}.{name}.enabled"
                yield f"{loaded.origin(key)}: {key} = false: it is switched off"


def _each(
    table: str, rows: Mapping[str, R], make: Callable[[Loaded, str, R], T], loaded: Loaded, *, problems: list[str]
) -> tuple[T, ...]:
    made: list[T] = []
    for name, row in rows.items():
        if not row.enabled:
            continue
        try:
            made.append(make(loaded, name, row))
        except PluginError as e:
            key = f"{table}.{name}.use"
            problems.append(f"{loaded.origin(key)}: {key}: {e}")
        except ConfigurationError as e:
            problems.extend(str(e).splitlines())
    return tuple(made)


def _venue(plugins: Plugins, loaded: Loaded, name: str, row: VenueRow) -> ResolvedVenue:
    plugin = plugins.connector(row.use)
    if row.embedded_sandbox and (not plugin.sandbox_module or plugin.sandbox_settings is None):
        raise ConfigurationError(
            f"venues.{name}.embedded_sandbox: {row.use} ships no sandbox; "
            f"set it to false and give venues.{name}.settings"
        )
    if row.proxy and not plugin.takes("proxy"):
        raise ConfigurationError(f"venues.{name}.proxy: {row.use} can't use a proxy; leave the key out")
    sandbox_key = f"venues.{name}.sandbox.options"
    parse_settings(plugin.sandbox_options, row.sandbox.options, key=sandbox_key, origins=loaded.origins)
    key = f"venues.{name}.settings"
    raw = _with_paths(plugin.settings_model, row.settings, loaded, key)
    settings = parse_settings(
        plugin.settings_model, raw, key=key, origins=loaded.origins, is_partial=row.embedded_sandbox
    )
    return ResolvedVenue(name, row.model_copy(update={"settings": raw}), plugin, settings, loaded.origins)


def _account(plugins: Plugins, loaded: Loaded, name: str, row: VenueRow) -> ResolvedAccount:
    plugin = plugins.mass_cancel(row.use)
    if plugin is None:
        raise ConfigurationError(f"venues.{name}: {row.use} can't end orders beside its daemon: it has no mass_cancel")
    raw = _with_paths(plugin.settings_model, row.settings, loaded, f"venues.{name}.settings")
    return ResolvedAccount(name, row.model_copy(update={"settings": raw}), plugin, loaded.origins)


def _strategy(plugins: Plugins, loaded: Loaded, name: str, row: StrategyRow) -> ResolvedStrategy:
    factory = plugins.strategy(row.use)
    key = f"strategies.{name}.settings"
    raw = _with_paths(factory.Settings, row.settings, loaded, key)
    settings = parse_settings(factory.Settings, raw, key=key, origins=loaded.origins)
    return ResolvedStrategy(name, row, factory, settings)


def _check(plugins: Plugins, loaded: Loaded, name: str, row: CheckRow) -> tuple[str, AnyCheck]:
    model = plugins.check(row.use)
    settings = parse_settings(model, row.settings, key=f"checks.{name}.settings", origins=loaded.origins)
    begin_once(row.use, settings)
    return name, cast(AnyCheck, settings)


def _with_paths(model: type[BaseModel] | None, raw: Tree, loaded: Loaded, key: str) -> Tree:
    """Settings whose relative paths count from the file that names them, as those of plugin folders do."""
    fields = {} if model is None else model.model_fields
    paths = {name for name, field in fields.items() if holds_path(field.annotation)}
    return {name: loaded.anchored(f"{key}.{name}", value) if name in paths else value for name, value in raw.items()}


def _missing_folders(loaded: Loaded) -> list[str]:
    origin = loaded.origin("plugin_paths")
    return [
        f'{origin}: plugin_paths: {folder} is no folder; a relative path counts from the file that names it, "." is '
        "that file's own folder"
        for folder in loaded.config.plugin_paths
        if not folder.is_dir()
    ]


def _mixed_venues(loaded: Loaded) -> list[str]:
    """An embedded sandbox begins anew at each start and an account does not: no journal can be of both."""
    enabled = _enabled_venues(loaded)
    if not enabled:
        return ["venues: none is switched on; a daemon needs one"]
    embedded = [name for name, row in enabled.items() if row.embedded_sandbox]
    if len(embedded) in (0, len(enabled)):
        return []
    key = f"venues.{embedded[0]}.embedded_sandbox"
    others = ", ".join(name for name in enabled if name not in embedded)
    return [
        f"{loaded.origin(key)}: {key}: an embedded sandbox begins anew at each start, the account of {others} does "
        "not: one journal can't be of both. Run two daemons with a state_dir each, or start the sandbox by itself with "
        "`tidegate sandbox` and give its address in the settings"
    ]


def _enabled_venues(loaded: Loaded) -> dict[str, VenueRow]:
    return {name: row for name, row in loaded.config.venues.items() if row.enabled}


def _unknown_venues(loaded: Loaded) -> list[str]:
    """An instrument pattern of a venue that isn't there would never match: a strategy would silently do nothing."""
    enabled = list(_enabled_venues(loaded))
    problems = []
    for name, row in loaded.config.strategies.items():
        key = f"strategies.{name}.instruments"
        for pattern in row.instruments if row.enabled else ():
            flaw = _flaw_of_pattern(pattern, enabled, loaded.config.venues, strategy=name)
            problems += [f'{loaded.origin(key)}: {key}: "{pattern}"{flaw}'] if flaw else []
    return problems


def _flaw_of_pattern(pattern: str, enabled: Sequence[str], venues: Mapping[str, VenueRow], *, strategy: str) -> str:
    venue, colon, _symbol = pattern.partition(":")
    if not colon:
        return ' names no venue; write it like "kalshi:*"'
    if any(fnmatchcase(known, venue) for known in enabled):
        return ""
    if any(fnmatchcase(known, venue) for known in venues):
        return f": the venue {venue} is switched off; switch strategies.{strategy} off too (enabled = false), or it on"
    return f": no venue is named {venue}; {suggestion(venue, enabled)}"


def _wrong_outputs(loaded: Loaded) -> list[str]:
    """A line for each thing that is wrong with the outputs of alerts that are switched on. What is missing is missing
    where the output is made."""
    problems = []
    for name, row in loaded.config.alerts.outputs.items():
        key = f"alerts.outputs.{name}"
        for field, flaw in _flaws_of_output(row) if row.enabled else ():
            origin = loaded.origin(f"{key}.{field if field in row.model_fields_set else 'use'}")
            problems.append(f"{origin}: {key}.{field}: {flaw}")
    return problems


def _flaws_of_output(row: AlertOutputRow) -> Iterator[tuple[str, str]]:
    """Field and what is wrong with it."""
    for use, fields in _OUTPUT_KEYS.items():
        for field in fields if use != row.use else ():
            if field in row.model_fields_set:
                yield field, f'is for use = "{use}"; this output is a {row.use}; leave the key out'
    yield from _flaws_of_webhook(row) if row.use == "webhook" else _flaws_of_command(row)


def _flaws_of_webhook(row: AlertOutputRow) -> Iterator[tuple[str, str]]:
    if row.address_path is None:
        yield "address_path", "is missing; name a file with the address of the webhook, readable by its owner alone"
    if row.template == "telegram" and not row.chat_id:
        yield "chat_id", 'is missing; template = "telegram" needs the chat that gets the messages'
    if row.template != "telegram" and row.chat_id:
        yield "chat_id", f'is for template = "telegram", and this is "{row.template}"; leave the key out'
    if row.template != "json" and row.token_path is not None:
        yield "token_path", f'is for template = "json", and this is "{row.template}"; its address holds the secret'


def _flaws_of_command(row: AlertOutputRow) -> Iterator[tuple[str, str]]:
    if not row.argv:
        yield "argv", 'is missing; give the program and its arguments, as in ["/usr/local/bin/page"]'
    elif shutil.which(row.argv[0]) is None:
        yield "argv", f'"{row.argv[0]}" is no program that can be run here; give its whole path, and make it executable'
