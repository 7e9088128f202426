"""Environment variables and secret files, read through the sources of pydantic-settings, one variable at a time.

The source decides which key a name means. It is given the name in place of the text: so the text is read once, by
`framework.config.layers`, where decimals stay exact, and it is known which variable every value came from.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import create_model
from pydantic_settings import BaseSettings, EnvSettingsSource, SecretsSettingsSource, SettingsConfigDict, SettingsError

from framework.config.model import Configuration
from framework.domain.errors import ConfigurationError, closest, suggestion

PREFIX = "TIDEGATE_"
DELIMITER = "__"
# Container engines invent names such as TIDEGATE_SERVICE_HOST: only what looks like a slip is refused.
_SLIP_CLOSENESS_MIN = 0.75


@dataclass(frozen=True)
class Variable:
    """One value that was given by name: its key as a path, its text, and where it came from."""

    path: tuple[str, ...]
    text: str
    origin: str


class _Variables(Configuration, BaseSettings):
    """The configuration's keys as names of variables. Never filled: only its sources are used."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter=DELIMITER, enable_decoding=False)


def from_environment(environ: Mapping[str, str]) -> Iterator[Variable]:
    """The variables that set a key, in the order of their names. Raises `ConfigurationError` for a slip in a name."""
    return _variables(environ, lambda name: f"environment {name}")


def from_secrets(directory: Path) -> Iterator[Variable]:
    """The files named like such variables; white space around their text is not part of it. None: no folder.

    Raises `ConfigurationError` for a file that can't be read, lies outside of the folder, or has a slip in its name.
    """
    names = sorted(file.name for file in directory.iterdir() if _is_ours(file.name)) if directory.is_dir() else []
    texts = {name: text for name in names if (text := _secret(directory, name)) is not None}
    return _variables(texts, lambda name: f"secret {directory / name}")


def _secret(directory: Path, name: str) -> str | None:
    """The text of one file; None for a folder."""
    if (directory / name).is_dir():
        return None
    fields: dict[str, Any] = {name: (str, ...)}
    model = create_model("Secret", __base__=BaseSettings, **fields)
    source = SecretsSettingsSource(model, secrets_dir=directory, case_sensitive=True, env_prefix="")
    try:
        with warnings.catch_warnings():
            # The source would skip such a file with a warning; but it was mounted for a purpose, so it is an error.
            warnings.simplefilter("error")
            return str(source()[name])
    except (OSError, UnicodeDecodeError, KeyError, SettingsError, UserWarning) as e:
        cause = e.__cause__ or e
        raise ConfigurationError(
            f"secret {directory / name}: can't be read ({cause}); mount a readable UTF-8 text file there"
        ) from e


def _variables(texts: Mapping[str, str], origin_of: Callable[[str], str]) -> Iterator[Variable]:
    source = EnvSettingsSource(_Variables)
    for name in sorted(filter(_is_ours, texts)):
        path = _path(source, name)
        if path is None:
            _refuse_slip(name, origin_of(name))
            continue
        if not all(path):
            raise ConfigurationError(f"{origin_of(name)}: is not a key; write it like TIDEGATE_HTTP__PORT")
        yield Variable(path, texts[name], origin_of(name))


def _is_ours(name: str) -> bool:
    return name.upper().startswith(PREFIX)


def _path(source: EnvSettingsSource, name: str) -> tuple[str, ...] | None:
    """The key that the source finds the variable's value at; None when it finds no use for it."""
    source.env_vars = {name.lower(): name}
    node: Any = source()
    path = []
    while isinstance(node, dict) and node:
        ((key, node),) = node.items()
        path.append(str(key))
    return tuple(path) or None


def _refuse_slip(name: str, origin: str) -> None:
    """Refuse a name that the configuration does not have but that looks like a misspelt one of its keys."""
    key, delimiter, _ = name[len(PREFIX) :].lower().partition(DELIMITER)
    known = Configuration.model_fields
    if delimiter and not key:
        raise ConfigurationError(f"{origin}: is not a key; write it like TIDEGATE_HTTP__PORT")
    if delimiter or closest(key, known, closeness_min=_SLIP_CLOSENESS_MIN):
        raise ConfigurationError(f'{origin}: unknown key "{key}"; {suggestion(key, known)}')
