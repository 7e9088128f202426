"""Loads the configuration: files in the order given, then secret files, environment, and `--set`; later wins.

Tables are merged key by key, everything else is replaced whole; the array form of checks is read as tables by name.
Where each value came from is kept for messages and for `tidegate show-config`. Decimal numbers stay exact: TOML's
floats are read as `Decimal`. Folders of plugins count from the file that names them.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, cast, get_args

from pydantic import BaseModel

from framework.config.checks import as_tables
from framework.config.errors import PREFIX, Origins, Tree, is_secret_key, origin_of, parse_settings
from framework.config.model import Configuration
from framework.domain.errors import ConfigurationError
from framework.domain.loading import import_bounded
from framework.runtime.secrets import mask_urls, passwords_in

DEFAULT_FILE = Path(__file__).with_name("sandbox.toml")
"""What runs when no file is named: the embedded sandbox. `config/sandbox.toml` is a link to it."""

SET_ORIGIN = "--set"
_OF_FILES = ("live", "replace_checks")
SECRETS_DIR = Path("/run/secrets")
"""Where container engines mount secrets: a file named like the environment variable counts like it."""


@dataclass(frozen=True)
class Loaded:
    """A configuration that is valid but for its plugins' settings, and where each value comes from."""

    config: Configuration
    tree: Tree
    origins: Origins
    files: tuple[Path, ...]
    notes: tuple[str, ...] = ()
    """What whoever starts with this configuration should know, a line each."""

    def origin(self, key: str) -> str:
        """Where a dotted key was set: a file, an environment variable, `--set`, or `default`."""
        return origin_of(key, self.origins)

    def secret_values(self) -> list[str]:
        """The values that must never be printed: register them for masking before anything is logged."""
        values = [(key.rpartition(".")[2], str(value)) for key, value in leaves(self.tree)]
        named = [value for name, value in values if is_secret_key(name)]
        return named + [password for _name, value in values for password in passwords_in(value)]

    def anchored(self, key: str, value: Any) -> Any:
        """A path, or a list of paths, that was set at `key`: relative ones count from the file that names them, and
        from the working directory when no file does."""
        origin = self.origin(key)
        folder = next((file.parent for file in self.files if str(file) == origin), None)
        return value if folder is None else _anchored(folder, value)


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


def holds_path(annotation: Any) -> bool:
    """Whether a setting of this type is a path, or has paths in it."""
    return annotation is Path or any(map(holds_path, get_args(annotation)))


def _anchor_paths(model: type[BaseModel], table: Tree, folder: Path) -> None:
    """Let relative paths count from the file that names them; plugins' settings have models of their own. Not so the
    state directory: it always counted from the working directory, and elsewhere an empty one would begin."""
    for name, value in table.items():
        annotation = field.annotation if (field := model.model_fields.get(name)) else None
        if isinstance(value, dict) and (inner := _model_in(annotation)) is not None:
            for table_or_row in [value] if inner is annotation else filter(_is_table, value.values()):
                _anchor_paths(inner, table_or_row, folder)
        elif name != "state_dir" and holds_path(annotation):
            table[name] = _anchored(folder, value)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model of a table, or of each row of a table of rows by name; None for anything else."""
    for candidate in (annotation, *get_args(annotation)[1:]):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _is_table(value: object) -> bool:
    return isinstance(value, dict)


def _anchored(folder: Path, value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_anchored(folder, item) for item in value]
    # Not resolved: where a file is mounted counts, not where a link of the mount leads.
    return os.path.abspath(folder / value) if isinstance(value, (str, Path)) else value


class Layers:
    """A tree of settings under construction, with the origin of each value."""

    def __init__(self) -> None:
        self.tree: Tree = {}
        self.origins: dict[str, str] = {}
        self.notes: list[str] = []

    def merge_file(self, file: Path) -> None:
        """Lay a file over what is there. Raises `ConfigurationError` for one that can't be read."""
        table = _read(file)
        _anchor_paths(Configuration, table, file.parent)
        if table.get("replace_checks") is True:
            self._drop_checks(str(file))
        self.merge(table, str(file))

    def merge(self, table: Mapping[str, Any], origin: str) -> None:
        """Lay a table over what is there: tables key by key, every other value is replaced whole."""
        if "checks" in table:
            table = {**table, "checks": as_tables(table["checks"])}
        self._merge(self.tree, table, origin, prefix="")

    def _drop_checks(self, file: str) -> None:
        dropped = ", ".join(self.tree.pop("checks", {})) or "none were there"
        self._forget("checks")
        self.notes.append(f"{file}: replace_checks: the checks of the files before it are dropped: {dropped}")

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
        """Set one value; a table is laid over the one that is there. A number in `path` is an index into an array that
        is there already.

        Raises `ConfigurationError` when the path leads through something that is neither table nor array.
        """
        node: Any = self.tree
        key = ".".join(path)
        self._refuse_number_of_check(path, origin)
        if len(path) == 1 or isinstance(value, dict):
            self.merge(_nested(path, value), origin)
            return
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

    def _refuse_number_of_check(self, path: Sequence[str], origin: str) -> None:
        """Checks had numbers once; one that is taken for another check's would change the wrong limit."""
        names = list(self.tree.get("checks", {}))
        if path[0] != "checks" or len(path) == 1 or not path[1].isdecimal() or path[1] in names:
            return
        number = int(path[1])
        meant = [names[number]] if number < len(names) else names
        keys = " or ".join(".".join(("checks", name, *path[2:])) for name in meant)
        raise ConfigurationError(f"{origin}: {'.'.join(path)}: checks have names, not numbers; write {keys}")

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
        layers.merge_file(file)
    _put_named(layers, environ, secrets_dir)
    for override in overrides:
        _put_override(layers, override)
    _refuse_misplaced(layers)
    config = parse_settings(Configuration, layers.tree, key="", origins=layers.origins)
    return Loaded(cast(Configuration, config), layers.tree, layers.origins, chosen, tuple(layers.notes))


def _nested(path: Sequence[str], value: Any) -> Tree:
    for name in reversed(path):
        value = {name: value}
    return cast(Tree, value)


def _read(file: Path) -> Tree:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"), parse_float=Decimal)
    except OSError as e:
        raise ConfigurationError(f"{file}: can't be read ({e.strerror}); check the path after -c") from e
    except UnicodeDecodeError as e:
        raise ConfigurationError(f"{file}: is not UTF-8 text ({e.reason} at byte {e.start}); save it as UTF-8") from e
    except tomllib.TOMLDecodeError as e:
        raise ConfigurationError(f"{file}: is not valid TOML: {e}; correct that line") from e


def _put_named(layers: Layers, environ: Mapping[str, str], secrets_dir: Path | None) -> None:
    """Lay what is given by name over the files: secret files, then the environment. What finds the keys of names loads
    for a while, so it is loaded where there are some."""
    secrets = [] if secrets_dir is None or not secrets_dir.is_dir() else [one.name for one in secrets_dir.iterdir()]
    if not any(name.upper().startswith(PREFIX) for name in (*secrets, *environ)):
        return
    names = import_bounded("framework.config.environment")
    if injected := names.injected_names(environ):
        layers.notes.append(f"environment: taken for those of a Kubernetes Service and ignored: {', '.join(injected)}")
    for one in (*(names.from_secrets(secrets_dir) if secrets else ()), *names.from_environment(environ)):
        layers.put(one.path, _value(one.text, one.origin, key=one.path[-1]), one.origin)


def _put_override(layers: Layers, override: str) -> None:
    key, equals, text = override.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        raise ConfigurationError(f"--set {override!r}: is not key=value; write it like --set http.port=8081")
    layers.put(parts, _value(text, SET_ORIGIN, key=parts[-1]), SET_ORIGIN)


def _value(text: str, origin: str, *, key: str) -> Any:
    """Arrays, tables and quoted text are read as TOML; everything else stays text and its key's type decides."""
    if text[:1] not in ("[", "{", '"', "'"):
        return text
    try:
        return tomllib.loads(f"value = {text}", parse_float=Decimal)["value"]
    except tomllib.TOMLDecodeError as e:
        shown = "(its value is not shown)" if is_secret_key(key) else repr(mask_urls(text))
        raise ConfigurationError(f'{origin}: {shown} is not a TOML value ({e}); write it like ["a", "b"]') from e


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
    """What decides about safety must stand in a file; secrets must not stand in one, nor in a list of processes."""
    problems = []
    for key, origin in layers.origins.items():
        is_elsewhere = origin.startswith(("environment ", "secret "))
        if key in _OF_FILES and (is_elsewhere or origin == SET_ORIGIN):
            problems.append(f"{origin}: {key}: only a configuration file may say this; write {key} = true into yours")
        if not is_elsewhere and is_secret_key(key.rpartition(".")[2]):
            variable = PREFIX + key.replace(".", "__").upper()
            problems.append(
                f"{origin}: {key}: looks like a secret, and those don't belong here; "
                f"set {variable}, or mount a file of that name under {SECRETS_DIR}"
            )
    if problems:
        raise ConfigurationError("\n".join(problems))
