"""Requests from outside: JSON bodies and queries, read field by field, refused in the venue's format.

Wrong JSON types answer the flat `bad_request` (recorded answer), missing or undocumented values the nested
`invalid_parameters`, query values out of range the bare `msg` (recorded answer).
Every refusal is a `Refusal`, so no handler sees an invalid value.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from connectors.kalshi.sandbox import errors
from connectors.sandbox.serving.decimals import parse_decimal
from connectors.sandbox.serving.rest import Refusal

PAGE = 100
PAGE_MAX = 1000
"""Items on a page of most listings: the default, and the most that may be asked for (vendor docs)."""

T = TypeVar("T")
_CURSOR = re.compile(r"^k1:(-?[0-9]{1,40})$")

_GO_NAMES = ((bool, "bool"), (int, "number"), (float, "number"), (str, "string"), (list, "array"), (dict, "object"))


def go_type(value: object) -> str:
    """The JSON kind of `value` as the venue's decoder names it (recorded answers)."""
    return next((name for kind, name in _GO_NAMES if isinstance(value, kind)), "null")


class Body:
    """One decoded JSON object; `struct` is the request type named in decode errors."""

    def __init__(self, values: Mapping[str, Any], struct: str) -> None:
        """`values` is the object itself; use `decode_body` for raw bytes."""
        self._values = values
        self._struct = struct

    def has(self, name: str) -> bool:
        """True when the member is present and not null, of whatever type."""
        return self._values.get(name) is not None

    def text(self, name: str) -> str | None:
        """A string member, or None when absent. Raises `Refusal` on another type."""
        value = self._values.get(name)
        if value is None or isinstance(value, str):
            return value
        raise self._wrong_type(name, value, wanted="string")

    def required_text(self, name: str) -> str:
        """A string member that must be there and not be empty. Raises `Refusal` when it is not."""
        value = self.text(name)
        if not value:
            raise errors.nested("invalid_parameters")
        return value

    def choice(self, name: str, choices: Mapping[str, T]) -> T:
        """A required string out of a closed list, as what it stands for. Raises `Refusal` for any other value."""
        value = self.required_text(name)
        if value not in choices:
            raise errors.nested("invalid_parameters")
        return choices[value]

    def integer(self, name: str) -> int | None:
        """A whole number, or None when absent. Raises `Refusal` on another type."""
        value = self._values.get(name)
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        raise self._wrong_type(name, value, wanted="int64")

    def flag(self, name: str) -> bool:
        """A boolean member, false when absent. Raises `Refusal` on another type."""
        value = self._values.get(name)
        if value is None or isinstance(value, bool):
            return bool(value)
        raise self._wrong_type(name, value, wanted="bool")

    def decimal(self, name: str, decimals: int) -> int | None:
        """A decimal string as an integer of 10^-decimals, or None when absent.

        Raises `Refusal` on another type, on a malformed number and on more digits than `decimals`.
        """
        value = self.text(name)
        if value is None:
            return None
        parsed = parse_decimal(value, decimals)
        if parsed is None:
            raise errors.nested("invalid_parameters")
        return parsed

    def texts(self, name: str) -> list[str] | None:
        """An array of strings, or None when absent. Raises `Refusal` on another type."""
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, list):
            raise self._wrong_type(name, value, wanted="[]string")
        for item in value:
            if not isinstance(item, str):
                raise self._wrong_type(name, item, wanted="string")
        return value

    def objects(self, name: str, struct: str) -> list[Body]:
        """A required array of objects, each named `struct` in its own decode errors.

        Raises `Refusal` when it is absent or something else.
        """
        value = self._values.get(name)
        if value is None:
            raise errors.nested("invalid_parameters")
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self._wrong_type(name, value, wanted=f"[]{struct}")
        return [Body(item, struct) for item in value]

    def _wrong_type(self, name: str, value: object, *, wanted: str) -> Refusal:
        return errors.bad_request(
            f"json: cannot unmarshal {go_type(value)} into Go struct field {self._struct}.{name} of type {wanted}"
        )


def decode_body(raw: bytes, struct: str) -> Body:
    """The request body as an object. Raises `Refusal` (flat `bad_request`) when it is not one."""
    try:
        values = msgspec.json.decode(raw or b"{}")
    except msgspec.DecodeError as error:
        raise errors.bad_request(f"json: {error}") from error
    if not isinstance(values, dict):
        raise errors.bad_request(f"json: cannot unmarshal {go_type(values)} into Go value of type {struct}")
    return Body(values, struct)


class Query:
    """The query of one GET; `operation` is the name that validation errors carry."""

    def __init__(self, values: Mapping[str, str], operation: str) -> None:
        """`values` maps names to the first value of each."""
        self._values = values
        self._operation = operation

    def text(self, name: str) -> str | None:
        """The value of a name, or None when it is absent or empty."""
        return self._values.get(name) or None

    def names(self, name: str, most: int = 1000) -> frozenset[str] | None:
        """A comma-separated list, or None when absent. Raises `Refusal` for more than `most` different entries."""
        value = self.text(name)
        if value is None:
            return None
        found = frozenset(part for part in value.split(",") if part)
        if len(found) > most:
            raise errors.bad_query(self._operation, _go_field(name), tag="max")
        return found

    def integer(self, name: str) -> int | None:
        """A whole number, or None when absent. Raises `Refusal` for anything else."""
        value = self.text(name)
        if value is None:
            return None
        try:
            return int(value)
        except ValueError:
            raise errors.bad_query(self._operation, _go_field(name), tag="number") from None

    def required_integer(self, name: str) -> int:
        """A whole number that must be there. Raises `Refusal` when it is not."""
        value = self.integer(name)
        if value is None:
            raise errors.bad_query(self._operation, _go_field(name), tag="required")
        return value

    def flag(self, name: str) -> bool:
        """A boolean: true for "true" and "1", false for everything else."""
        return (self.text(name) or "").lower() in {"true", "1"}

    def choice(self, name: str, choices: Sequence[str]) -> str | None:
        """One of `choices`, or None when absent. Raises `Refusal` for another value."""
        value = self.text(name)
        if value is not None and value not in choices:
            raise errors.bad_query(self._operation, _go_field(name), tag="oneof")
        return value

    def limit(self, default: int = PAGE, most: int = PAGE_MAX) -> int:
        """The page size; absent or 0 means `default`.

        Raises `Refusal` above `most`, where other venues would clamp (recorded answer), and below zero.
        """
        value = self.integer("limit") or default
        if value > most:
            raise errors.bad_query(self._operation, "Limit", tag="lte")
        if value < 0:
            raise errors.bad_query(self._operation, "Limit", tag="gte")
        return value

    def newest(self, items: Iterable[T], keeps: Callable[[T], bool], *, limit: int) -> tuple[list[T], str]:
        """One page of those `items` (oldest first, only ever appended to) that `keeps` accepts, the newest first.

        Returns the page and the cursor of the next one, as `page` does.
        """
        numbered = [(number, item) for number, item in enumerate(items) if keeps(item)]
        numbered.reverse()
        return self.page(numbered, limit=limit)

    def page(self, keyed: Sequence[tuple[int, T]], *, limit: int) -> tuple[list[T], str]:
        """The page of (key, item) pairs that the query's cursor asks for, and the cursor of the next page.

        The pairs are sorted by key from high to low, and keys are unique. The cursor is empty on the last page;
        one that cannot be read gives the first page (recorded answers).
        """
        before = decode_cursor(self._values.get("cursor", ""))
        rest = keyed if before is None else [pair for pair in keyed if pair[0] < before]
        shown = rest[:limit]
        more = len(rest) > limit
        return [item for _, item in shown], encode_cursor(shown[-1][0]) if more and shown else ""


def encode_cursor(key: int) -> str:
    """A cursor, opaque to clients, that continues below `key`."""
    return base64.urlsafe_b64encode(f"k1:{key}".encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> int | None:
    """The key inside a cursor, or None for anything that `encode_cursor` did not make."""
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (binascii.Error, ValueError):
        return None
    found = _CURSOR.match(text)
    return None if found is None else int(found.group(1))


def _go_field(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))
