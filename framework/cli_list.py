"""`tidegate list`: what there is to use, with the settings of each; the refusal codes; the metrics."""

from __future__ import annotations

import argparse
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from framework import catalogue
from framework.catalogue import Listed
from framework.cli_config import load_from, to_toml
from framework.config_messages import suggestion
from framework.domain.errors import ConfigurationError
from framework.domain.refusals import refusal_table
from framework.plugins import Plugins
from framework.runtime.metrics import metrics_table

CATALOGUES: dict[str, Callable[[Plugins], Iterable[Listed]]] = {
    "venues": catalogue.venues,
    "strategies": catalogue.strategies,
    "checks": catalogue.checks,
}
TABLES: dict[str, Callable[[], str]] = {"refusals": refusal_table, "metrics": metrics_table}


def list_plugins(options: argparse.Namespace) -> int:
    """Print one section, or everything that can be used in a configuration."""
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
            sys.stdout.writelines(f"{line}\n" for line in render(listed))
    return 0


def render(listed: Listed) -> Iterator[str]:
    """What to write after `use =`, what it is for, and a line per setting."""
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
    """A type as a person who writes TOML would call it."""
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
