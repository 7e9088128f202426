"""`tidegate show-config`, and the configuration that a command line asks for."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr

from framework.config.check_settings import CheckSettings
from framework.config.checks import order_of_checks
from framework.config.errors import is_secret_key
from framework.config.layers import DEFAULT_FILE, SECRETS_DIR, Loaded, load
from framework.config.resolve import Resolved, resolve
from framework.config.toml import to_toml, toml_key
from framework.domain.account_events import LimitChanged
from framework.persistence.journal.restore import read_accounts
from framework.runtime.files import RealFiles
from framework.runtime.secrets import MASK, mask_urls
from framework.runtime.state_directory import JOURNAL_NAME

DEFAULT_NAME = "sandbox"
_ORIGIN_COLUMN = 48
_NONE: Mapping[str, str] = {}


def load_from(options: argparse.Namespace) -> Loaded:
    """The configuration that a command line asks for: its files, then secrets, environment, `--set` and `--state-dir`.

    Raises `ConfigurationError` with one line per problem.
    """
    files = [DEFAULT_FILE if file == DEFAULT_NAME else Path(file) for file in options.config]
    if DEFAULT_NAME in options.config and Path(DEFAULT_NAME).exists():
        sys.stderr.write(
            f"tidegate: -c {DEFAULT_NAME} is the default that ships with tidegate, not the file or folder "
            f"./{DEFAULT_NAME}; write ./{DEFAULT_NAME} for that\n"
        )
    overrides = list(options.set)
    if options.state_dir:
        overrides.append(f"state_dir={options.state_dir}")
    return load(files, environ=os.environ, overrides=overrides, secrets_dir=SECRETS_DIR)


def show_config(options: argparse.Namespace) -> int:
    """Print the configuration as TOML, with the origin of each value beside it.

    Raises `ConfigurationError` with one line per problem.
    """
    loaded = load_from(options)
    resolved = resolve(loaded)
    changes = changes_of(loaded.config.state_dir)
    limits = CheckSettings(resolved.checks, changes)
    origins = {
        f"checks.{one.check}.settings.{one.key}": f"set by {one.by} while it ran: {one.reason}" for one in changes
    }
    tree = merged(dataclasses.replace(resolved, checks=limits.checks))
    for line in render_config(loaded, tree, origins):
        sys.stdout.write(line + "\n")
    return 0


def changes_of(state_directory: Path) -> list[LimitChanged]:
    """The limits that were changed while a daemon of this state directory ran, as its records have it; none where there
    are no records. Raises `JournalError` for those that can't be read."""
    journal = state_directory / JOURNAL_NAME
    return list(read_accounts(RealFiles(), journal).limits.values()) if journal.is_dir() else []


def merged(resolved: Resolved) -> dict[str, Any]:
    """All values as one tree, the defaults of the core and of the plugins' settings included. Secrets are not
    masked."""
    tree = resolved.config.model_dump()
    checks = dict(resolved.checks)
    for venue in resolved.venues:
        tree["venues"][venue.name]["settings"] |= _dump(venue.settings)
    for strategy in resolved.strategies:
        tree["strategies"][strategy.name]["settings"] |= _dump(strategy.settings)
    tree["checks"] = {name: tree["checks"][name] for name in order_of_checks(resolved.config.checks)}
    for name, check in checks.items():
        tree["checks"][name]["settings"] = _dump(check if isinstance(check, BaseModel) else None)
    return tree


def render_config(loaded: Loaded, tree: Mapping[str, Any], origins: Mapping[str, str] = _NONE) -> Iterator[str]:
    """`tree` as lines of TOML, each with its origin as a comment; secrets are masked. Can be loaded again. `origins`
    come before those of the files, by key."""
    asked = [name for name, row in tree["checks"].items() if row["enabled"]]
    yield f"# The gate asks, in this order: {', '.join(asked)}"
    yield from _table(tree, "", "", lambda key: origins.get(key) or loaded.origin(key))


def _table(table: Mapping[str, Any], name: str, key: str, origin: Callable[[str], str]) -> Iterator[str]:
    """One table: its values first, then the tables inside it, as TOML demands. `name` is its header, `key` its dotted
    key."""
    inner: list[tuple[str, Any]] = []
    for field, value in table.items():
        if isinstance(value, dict) or (isinstance(value, (list, tuple)) and value and isinstance(value[0], dict)):
            inner.append((field, value))
        else:
            yield _line(field, value, origin(f"{key}{field}"))
    for field, value in inner:
        header = f"{name}.{toml_key(field)}" if name else toml_key(field)
        if isinstance(value, dict):
            yield from ("", f"[{header}]")
            yield from _table(value, header, f"{key}{field}.", origin)
            continue
        for index, item in enumerate(value):
            yield from ("", f"[[{header}]]")
            yield from _table(item, header, f"{key}{field}.{index}.", origin)


def _line(field: str, value: Any, origin: str) -> str:
    if value is None:
        return f"# {toml_key(field)} is not set"
    shown = json.dumps(MASK) if is_secret_key(field) or isinstance(value, SecretStr) else mask_urls(to_toml(value))
    return f"{toml_key(field)} = {shown}".ljust(_ORIGIN_COLUMN) + f"  # {origin}"


def _dump(settings: BaseModel | None) -> dict[str, Any]:
    return {} if settings is None else settings.model_dump()


def shown_path(path: Path) -> str:
    """A path as one would type it here: relative where it lies below the working directory."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
