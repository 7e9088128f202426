"""Messages of wrong settings: which key, where it was set, its value, what is wrong, and what to do."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from framework.domain.errors import ConfigurationError, describe_error, suggestion
from framework.runtime.secrets import mask_urls

Tree = dict[str, Any]
"""Settings as read: tables are dicts, arrays are lists."""

Origins = Mapping[str, str]
"""Dotted key -> where it was set: `FILE`, `environment NAME`, `--set`."""

PREFIX = "TIDEGATE_"
"""How the variables of the environment, and the secret files, are named that set a key."""

_VALUE_CHARACTERS_MAX = 80
_OF_A_NAME = "[key]"  # what pydantic adds to the place of an error in the name of a table
_SECRET_WORDS = frozenset({"secret", "password", "passphrase", "token", "credential", "credentials", "mnemonic"})
_SECRET_PAIRS = ("api_key", "private_key")
_LOCATION_SUFFIXES = ("_path", "_file", "_dir", "_id")
_PROXY = "proxy"
"""An address that is wrong may be one in which the password can't be told from the rest."""


def parse_settings(
    model: type[BaseModel] | None, raw: Tree, *, key: str, origins: Origins, is_partial: bool = False
) -> BaseModel | None:
    """Check a table against its model. `key` is where the table stands, as in `strategies.mm.settings`.

    `is_partial` lets required keys be missing and then returns None: something else will fill them in. A plugin
    without settings (`model` None) takes an empty table only. Raises `ConfigurationError` with one line per problem.
    """
    if model is None:
        if raw:
            raise ConfigurationError(
                f"{_place(f'{key}.{next(iter(raw))}', origins)}: this plugin has no settings; remove it"
            )
        return None
    try:
        # A model that does not say what becomes of unknown keys would drop them, and a misspelt limit with them.
        made = model.model_validate(raw, extra=None if "extra" in model.model_config else "forbid")
        lines = dict.fromkeys(_numbers_of_bools(model, raw, made, key.split(".") if key else [], [], origins))
    except ValidationError as e:
        errors = [error for error in e.errors() if not (is_partial and error["type"] == "missing")]
        if not errors:
            return None
        prefix = tuple(key.split(".")) if key else ()
        alike = _together([dict(error) for error in errors], raw)
        lines = dict.fromkeys(_message(model, error, prefix, origins, raw=raw) for error in alike)
    except BaseException as e:
        # A plugin's own validator may raise anything; that must not look like a fault of the program.
        raise ConfigurationError(mask_urls(f"{_place(key, origins)}: {describe_error(e)}; see: tidegate list")) from e
    if not lines:
        return made
    raise ConfigurationError(mask_urls("\n".join(lines)))


def _numbers_of_bools(
    model: type[BaseModel], raw: Any, made: Any, prefix: Sequence[str], location: list[str], origins: Origins
) -> Iterator[str]:
    """A line for each `true` or `false` that pydantic took for a number: it means 1 and 0, nobody else does."""
    if isinstance(raw, bool) and isinstance(made, (int, float, Decimal)) and not isinstance(made, bool):
        place = _place(".".join([*prefix, *location]), origins)
        yield f"{place}: {str(raw).lower()}: is not a number; {_meaning(model, location)}"
    for name, value in raw.items() if isinstance(raw, dict) else ():
        inner = made.get(name) if isinstance(made, dict) else getattr(made, name, None)
        yield from _numbers_of_bools(model, value, inner, prefix, [*location, name], origins)


def is_secret_key(name: str) -> bool:
    """Whether a key of this name holds a secret itself, and not the place of one."""
    is_secret = not _SECRET_WORDS.isdisjoint(name.split("_")) or any(pair in name for pair in _SECRET_PAIRS)
    return is_secret and not name.endswith(_LOCATION_SUFFIXES)


def origin_of(key: str, origins: Origins) -> str:
    """Where `key`, or a value that it is a part of, was set; `default` when nowhere."""
    parts = key.split(".")
    known = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((origins[name] for name in known if name in origins), "default")


def nearest_origin(key: str, origins: Origins) -> str:
    """Where the settings around `key` come from, all such places: for what is missing or does not fit together."""
    found = origin_of(key, origins)
    parts = key.split(".")
    for length in range(len(parts), 0, -1):
        if found != "default":
            break
        prefix = ".".join(parts[:length]) + "."
        around = dict.fromkeys(origin for name, origin in origins.items() if name.startswith(prefix))
        found = ", ".join(around) or found
    return found


def _together(errors: Sequence[dict[str, Any]], raw: Tree) -> list[dict[str, Any]]:
    """One error per place and value: where a value may be of several kinds, pydantic has one for each kind."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for error in errors:
        is_value = error["type"] in WORDS and not isinstance(error["input"], dict)
        what = repr(error["input"]) if is_value else f"{error['type']} {error['msg']}"
        first = found.setdefault((*_keys_of(error["loc"], raw), what), error | {"words": []})
        first["words"].append(in_our_words(error))
    return list(found.values())


def _message(
    model: type[BaseModel], error: dict[str, Any], prefix: Sequence[str], origins: Origins, *, raw: Tree
) -> str:
    location = list(_keys_of(error["loc"], raw))
    key = ".".join([*prefix, *location])
    place = _place(key, origins)
    if error["type"] == "extra_forbidden":
        return f'{place}: unknown key "{location[-1]}"; {_meant_key(location[-1], known_keys(model, location[:-1]))}'
    if error["type"] == "missing":
        return f"{place}: is missing{_named_otherwise(location, raw)}; {_meaning(model, location)}"
    text = ", and ".join(dict.fromkeys(error["words"]))
    text = text.removeprefix(repr(error["input"])).lstrip(": ")  # a validator may name the value, too
    remedy = _meaning(model, location)
    if error["loc"] and error["loc"][-1] == _OF_A_NAME:
        return f"{place}: {text}; choose another name"
    if isinstance(error["input"], dict):
        return f"{place}: {text}; {remedy}"
    return f"{place}: {_shown(location, error['input'])}: {text}; {remedy}"


def _meant_key(name: str, known: Sequence[str]) -> str:
    """The key that was meant, or those that there are; a plugin's own keys stand in a table of their own."""
    text = suggestion(name, known)
    return (
        f"{text}; the plugin's own stand under settings" if "settings" in known and text.startswith("known") else text
    )


def in_our_words(error: Mapping[str, Any]) -> str:
    """What is wrong with a value, for an error of pydantic: our words for its type, as they go on after the value.

    A validator's own text is taken as it is.
    """
    context = error.get("ctx", {})
    if error["type"] in ("value_error", "assertion_error"):
        return str(error["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
    if error["type"] in ("too_short", "string_too_short") and context.get("min_length") == 1:
        return "is empty"
    return WORDS.get(error["type"], "can't be used").format(**context)


WORDS = {
    **dict.fromkeys(("bool_type", "bool_parsing"), "is not true or false"),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float", "int_parsing_size"), "is not a whole number"),
    **dict.fromkeys(("decimal_type", "decimal_parsing", "float_type", "float_parsing"), "is not a number"),
    "finite_number": "is not a finite number",
    "greater_than": "is not above {gt}",
    "greater_than_equal": "is below {ge}",
    "less_than": "is not below {lt}",
    "less_than_equal": "is above {le}",
    "multiple_of": "is not a multiple of {multiple_of}",
    "decimal_max_digits": "has more than {max_digits} digits",
    "decimal_max_places": "has more than {decimal_places} decimal places",
    "decimal_whole_digits": "has more than {whole_digits} digits before the point",
    "string_type": "is not text",
    "string_unicode": "is not text",
    "string_too_short": "has fewer than {min_length} characters",
    "string_too_long": "has more than {max_length} characters",
    "string_pattern_mismatch": "does not fit the pattern {pattern}",
    "literal_error": "is not {expected}",
    "enum": "is not {expected}",
    "path_type": "is not a path",
    **dict.fromkeys(("time_type", "time_parsing"), 'is not a time of day such as "17:00:00"'),
    **dict.fromkeys(
        ("tuple_type", "list_type", "set_type", "frozen_set_type", "iterable_type"), 'is not a list such as ["a", "b"]'
    ),
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type", "mapping_type"), "is not a table"),
    "too_short": "has fewer than {min_length} entries",
    "too_long": "has more than {max_length} entries",
    "none_required": "must be left out",
}
"""What is wrong, by the type of pydantic's error; in braces what the error adds."""


def _keys_of(location: Sequence[str | int], raw: Any) -> Iterator[str]:
    """The keys of an error's place as one writes them: pydantic adds what it tried, such as the members of a union."""
    node = raw
    for part in location:
        is_index = isinstance(node, (list, tuple)) and isinstance(part, int)
        if part != _OF_A_NAME and (isinstance(node, dict) or is_index):
            yield str(part)
            node = node.get(part) if isinstance(node, dict) else node[int(part)]


def _named_otherwise(location: Sequence[str], raw: Tree) -> str:
    """The table of this section that was meant by one without `use`, or those that there are."""
    table = raw.get(location[0]) if len(location) == 3 and location[-1] == "use" else None
    if not isinstance(table, dict):
        return ""
    others = [name for name, row in table.items() if isinstance(row, dict) and "use" in row]
    return f"; {suggestion(location[1], others)}" if others else ""


def _place(key: str, origins: Origins) -> str:
    origin = nearest_origin(key, origins)
    return key if origin == "default" else f"{origin}: {key}"


def _shown(location: Sequence[str], value: Any) -> str:
    if any(is_secret_key(part) or part == _PROXY for part in location):
        return "(its value is not shown)"
    text = mask_urls(repr(str(value)) if not isinstance(value, (bool, int, list, dict, tuple)) else repr(value))
    return text if len(text) <= _VALUE_CHARACTERS_MAX else text[:_VALUE_CHARACTERS_MAX] + "…"


def _meaning(model: type[BaseModel], location: Sequence[str]) -> str:
    """What the key is for, as the remedy."""
    for length in range(len(location), 0, -1):
        for candidate in models_at(model, location[: length - 1]):
            field = candidate.model_fields.get(location[length - 1])
            if field is not None and field.description:
                return f"give: {field.description}"
    return "see the example in config/"


def known_keys(model: type[BaseModel], location: Sequence[str]) -> list[str]:
    """The keys that the table at `location` inside `model` may have."""
    return [key for found in models_at(model, location) for key in found.model_fields]


def models_at(model: Any, location: Sequence[str]) -> list[type[BaseModel]]:
    """The models that stand at `location`: walks through tables, arrays and unions."""
    if isinstance(model, type) and issubclass(model, BaseModel):
        if not location:
            return [model]
        field = model.model_fields.get(location[0])
        return models_at(field.annotation, location[1:]) if field is not None else []
    arguments = get_args(model)
    shape = get_origin(model)
    if shape in (Union, types.UnionType):
        return [found for member in arguments for found in models_at(member, location)]
    if not location or not arguments:
        return []
    return models_at(arguments[1] if shape is dict else arguments[0], location[1:])
