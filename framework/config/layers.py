"""Loads the configuration: files in the order given, then secret files, environment, and `--set`; later wins.

Tables are merged key by key, everything else is replaced whole. Where each value came from is kept for messages
and for `tidegate show-config`. Decimal numbers stay exact: TOML's floats are read as `Decimal`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

from framework.config.environment import PREFIX, Variable, from_environment, from_secrets
from framework.config.errors import Origins, Tree, is_secret_key, origin_of, parse_settings
from framework.config.model import Configuration
from framework.domain.errors import ConfigurationError
from framework.runtime.secrets import passwords_in

DEFAULT_FILE = Path(__file__).with_name("sandbox.toml")
"""What runs when no file is named: the embedded sandbox. `config/sandbox.toml` is a link to it."""

SET_ORIGIN = "--set"
SECRETS_DIR = Path("/run/secrets")
"""Where container engines mount secrets: a file named like the environment variable counts like it."""


@dataclass(frozen=True)
class Loaded:
    """A configuration that is valid but for its plugins' settings, and where each value comes from."""

    config: Configuration
    tree: Tree
    origins: Origins
    files: tuple[Path, ...]

    def origin(self, key: str) -> str:
        """Where a dotted key was set: a file, an environment variable, `--set`, or `default`."""
        return origin_of(key, self.origins)

    def secret_values(self) -> list[str]:
        """The values that must never be printed: register them for masking before anything is logged."""
        values = [(key.rpartition(".")[2], str(value)) for key, value in leaves(self.tree)]
        named = [value for name, value in values if is_secret_key(name)]
        return named + [password for _name, value in values for password in passwords_in(value)]


def leaves(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every (dotted key, value) of a tree that is neither a table nor an array of tables; empty ones count too."""
    children: Iterable[tuple[Any, Any]] = ()
    if isinstance(tree, dict):
        children = tree.items()
    elif isinstance(tree, (list, tuple)) and any(isinstance(item, dict) for item in tree):
        children = enumerate(tree)
    if not children:
        yield prefix, tree
    for name, child in children:
        yield from leaves(child, f"{prefix}.{name}" if prefix else str(name))


class Layers:
    """A tree of settings under construction, with the origin of each value."""

    def __init__(self) -> None:
        self.tree: Tree = {}
        self.origins: dict[str, str] = {}

    def merge(self, table: Mapping[str, Any], origin: str) -> None:
        """Lay a table over what is there: tables key by key, every other value is replaced whole."""
        self._merge(self.tree, table, origin, prefix="")

    def _merge(self, target: Tree, table: Mapping[str, Any], origin: str, *, prefix: str) -> None:
        for name, value in table.items():
            key = f"{prefix}{name}"
            if isinstance(value, dict) and isinstance(target.get(name), dict):
                self._merge(target[name], value, origin, prefix=f"{key}.")
                continue
            self._forget(key)
            target[name] = value
            self._note(key, value, origin)

    def put(self, path: Sequence[str], value: Any, origin: str) -> None:
        """Set one value. A number in `path` is an index into an array that is there already.

        Raises `ConfigurationError` when the path leads through something that is neither table nor array.
        """
        node: Any = self.tree
        key = ".".join(path)
        for depth, name in enumerate(path[:-1]):
            node = _step_into(node, name, where=".".join(path[: depth + 1]), key=key, origin=origin)
        if isinstance(node, list):
            node[_index(node, path[-1], where=key, origin=origin)] = value
        elif isinstance(node, dict):
            node[path[-1]] = value
        else:
            table = ".".join(path[:-1])
            raise ConfigurationError(f"{origin}: {key}: {table} is a value, not a table; name the value itself")
        self._forget(key)
        self._note(key, value, origin)

    def _note(self, key: str, value: Any, origin: str) -> None:
        for leaf, _value in leaves(value, key):
            self.origins[leaf] = origin

    def _forget(self, key: str) -> None:
        for known in [known for known in self.origins if known == key or known.startswith(key + ".")]:
            del self.origins[known]


def load(
    files: Sequence[Path], *, environ: Mapping[str, str], overrides: Sequence[str] = (), secrets_dir: Path | None = None
) -> Loaded:
    """Read all layers and check them. No files: the default, which trades in the embedded sandbox.

    `overrides` are texts like `http.port=0`. Raises `ConfigurationError` with one line per problem.
    """
    layers = Layers()
    chosen = tuple(files) or (DEFAULT_FILE,)
    for file in chosen:
        layers.merge(_read(file), str(file))
    if secrets_dir is not None:
        _put_variables(layers, from_secrets(secrets_dir))
    _put_variables(layers, from_environment(environ))
    for override in overrides:
        _put_override(layers, override)
    config = parse_settings(Configuration, layers.tree, key="", origins=layers.origins)
    _refuse_misplaced(layers)
    return Loaded(cast(Configuration, config), layers.tree, layers.origins, chosen)


def _read(file: Path) -> Tree:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"), parse_float=Decimal)
    except OSError as e:
        raise ConfigurationError(f"{file}: can't be read ({e.strerror}); check the path after -c") from e
    except UnicodeDecodeError as e:
        raise ConfigurationError(f"{file}: is not UTF-8 text ({e.reason} at byte {e.start}); save it as UTF-8") from e
    except tomllib.TOMLDecodeError as e:
        raise ConfigurationError(f"{file}: is not valid TOML: {e}; correct that line") from e


def _put_variables(layers: Layers, variables: Iterable[Variable]) -> None:
    for one in variables:
        layers.put(one.path, _value(one.text, one.origin), one.origin)


def _put_override(layers: Layers, override: str) -> None:
    key, equals, text = override.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        raise ConfigurationError(f"--set {override!r}: is not key=value; write it like --set http.port=8081")
    layers.put(parts, _value(text, SET_ORIGIN), SET_ORIGIN)


def _value(text: str, origin: str) -> Any:
    """Arrays, tables and quoted text are read as TOML; everything else stays text and its key's type decides."""
    if text[:1] not in ("[", "{", '"', "'"):
        return text
    try:
        return tomllib.loads(f"value = {text}", parse_float=Decimal)["value"]
    except tomllib.TOMLDecodeError as e:
        raise ConfigurationError(f'{origin}: {text!r} is not a TOML value ({e}); write it like ["a", "b"]') from e


def _step_into(node: Any, name: str, *, where: str, key: str, origin: str) -> Any:
    if isinstance(node, list):
        return node[_index(node, name, where=where, origin=origin)]
    if isinstance(node, dict):
        return node.setdefault(name, {})
    raise ConfigurationError(f"{origin}: {key}: {where} is inside a value, not a table; name the value itself")


def _index(items: list[Any], name: str, *, where: str, origin: str) -> int:
    if not name.isdecimal() or int(name) >= len(items):
        raise ConfigurationError(f"{origin}: {where}: {name!r} is not an index; this array has 0 to {len(items) - 1}")
    return int(name)


def _refuse_misplaced(layers: Layers) -> None:
    """`live` is a decision that must stand in a file; secrets must not stand in one, nor in a list of processes."""
    problems = []
    for key, origin in layers.origins.items():
        is_elsewhere = origin.startswith(("environment ", "secret "))
        if key == "live" and (is_elsewhere or origin == SET_ORIGIN):
            problems.append(f"{origin}: live: only a configuration file may say this; write live = true into yours")
        if not is_elsewhere and is_secret_key(key.rpartition(".")[2]):
            variable = PREFIX + key.replace(".", "__").upper()
            problems.append(
                f"{origin}: {key}: looks like a secret, and those don't belong here; "
                f"set {variable}, or mount a file of that name under {SECRETS_DIR}"
            )
    if problems:
        raise ConfigurationError("\n".join(problems))
