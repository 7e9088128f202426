"""Environment variables and secret files, read through the sources of pydantic-settings, one variable at a time.

The source decides which key a name means. It is given the name in place of the text: so the text is read once, by
`framework.config.layers`, where decimals stay exact, and it is known which variable every value came from.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, create_model
from pydantic_settings import BaseSettings, EnvSettingsSource, SecretsSettingsSource, SettingsConfigDict, SettingsError

from framework.config.errors import PREFIX
from framework.config.model import Configuration
from framework.domain.errors import ConfigurationError, suggestion

DELIMITER = "__"
_WRITE_LIKE = "write it like TIDEGATE_HTTP__PORT, with two underscores between the parts of a key"

_NOT_KEYS = frozenset({"TIDEGATE_FAILPOINT", "TIDEGATE_RECORDINGS"})
"""Variables of this name that tests of the program read."""

# Kubernetes gives every pod the addresses of each Service: of one named `tidegate`, or `tidegate-…`, under our prefix.
_OF_A_SERVICE = re.compile(
    r"TIDEGATE_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_PORT_OF_A_SERVICE = re.compile(r"TIDEGATE_(\w+_)?PORT")
_ADDRESS_OF_A_SERVICE = re.compile(r"(tcp|udp|sctp)://")


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
    """The variables that set a key, in the order of their names. Raises `ConfigurationError` for a name that is no
    key's, but for those that Kubernetes injects (`injected_names`)."""
    foreign = {*injected_names(environ), *_NOT_KEYS}
    ours = {name: text for name, text in environ.items() if name not in foreign}
    return _variables(ours, lambda name: f"environment {name}")


def injected_names(environ: Mapping[str, str]) -> list[str]:
    """The variables that Kubernetes injects for a Service whose name begins like our variables, in the order of their
    names. `TIDEGATE_HTTP_PORT` is one only when its value is an address: a number there is a slip of somebody's."""
    return sorted(
        name
        for name, value in environ.items()
        if _OF_A_SERVICE.fullmatch(name) or (_PORT_OF_A_SERVICE.fullmatch(name) and _ADDRESS_OF_A_SERVICE.match(value))
    )


def from_secrets(directory: Path) -> Iterator[Variable]:
    """The files named like such variables; white space around their text is not part of it. None: no folder.

    Raises `ConfigurationError` for a file that can't be read, lies outside of the folder, or has a name that is no
    key's.
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
            raise ConfigurationError(_unknown(name, origin_of(name)))
        if not all(path):
            raise ConfigurationError(f"{origin_of(name)}: is not a key; {_WRITE_LIKE}")
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


def _unknown(name: str, origin: str) -> str:
    """Why a name that is no key's is refused, with the one that was meant."""
    key, delimiter, _ = name[len(PREFIX) :].lower().partition(DELIMITER)
    if not key:
        return f"{origin}: is not a key; {_WRITE_LIKE}"
    if meant := _meant(name):
        return f'{origin}: is not a key; did you mean "{meant}"?'
    known = Configuration.model_fields
    if not delimiter and key.partition("_")[0] in known:
        return f"{origin}: is not a key; {_WRITE_LIKE}"
    return f'{origin}: unknown key "{key}"; {suggestion(key, known)}'


def _meant(name: str) -> str:
    """The variable that differs in its underscores only; empty when there is none."""
    flat = re.sub("_+", "_", name.upper())
    return next((known for known in _names_of(Configuration, PREFIX[:-1], "_") if re.sub("_+", "_", known) == flat), "")


def _names_of(model: type[BaseModel], prefix: str, delimiter: str = DELIMITER) -> Iterator[str]:
    for name, field in model.model_fields.items():
        variable = f"{prefix}{delimiter}{name.upper()}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _names_of(field.annotation, variable)
        else:
            yield variable
