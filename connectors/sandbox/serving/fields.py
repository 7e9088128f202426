"""Requests from outside, read field by field: JSON bodies and queries, refused in the venue's own shapes.

Every refusal is a `Refusal` that the venue's `Complaints` make, so no handler sees an invalid value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

import msgspec

from connectors.sandbox.serving.decimals import parse_decimal
from connectors.sandbox.serving.rest import NOT_JSON, Refusal

T = TypeVar("T")
Reason = Literal["missing", "no_number", "no_choice", "too_many", "too_high", "too_low"]
"""What is wrong with a value of a query."""


class Complaints(Protocol):
    """How a venue refuses fields. `where` is what the reader was made for: a request type, an operation."""

    def not_json(self, text: str) -> Refusal:
        """The body does not decode; `text` says why."""
        ...

    def wrong_type(self, where: str, name: str, *, value: object, wanted: str) -> Refusal:
        """A member has another JSON type than `wanted`: string, bool, integer, strings, objects, object."""
        ...

    def missing(self, where: str, name: str) -> Refusal:
        """A required member is absent or empty."""
        ...

    def invalid(self, where: str, name: str, *, value: object) -> Refusal:
        """A member has the right type and a value that is not allowed."""
        ...

    def bad_query(self, where: str, name: str, *, reason: Reason) -> Refusal:
        """A value of the query can't be used."""
        ...


@dataclass(frozen=True)
class OneComplaint:
    """The `Complaints` of a venue with one shape for whatever is wrong: `refuse` makes it of a sentence."""

    refuse: Callable[[str], Refusal]

    def not_json(self, text: str) -> Refusal:
        """The body does not decode."""
        return self.refuse(f"the body is not JSON: {text}")

    def wrong_type(self, where: str, name: str, *, value: object, wanted: str) -> Refusal:
        """A member has another JSON type than `wanted`."""
        return self.refuse(f"{name or where} is not of the type {wanted}")

    def missing(self, where: str, name: str) -> Refusal:
        """A required member is absent or empty."""
        return self.refuse(f"{name} is missing")

    def invalid(self, where: str, name: str, *, value: object) -> Refusal:
        """A member has a value that is not allowed."""
        return self.refuse(f"{name} can't be {value!r}"[:200])

    def bad_query(self, where: str, name: str, *, reason: Reason) -> Refusal:
        """A value of the query can't be used."""
        return self.refuse(f"{name} is wrong: {reason}")


@dataclass(frozen=True)
class Body:
    """One decoded JSON object; `where` is named in complaints. Use `decode_body` for raw bytes.

    Each method answers None for a member that is absent or null, unless it says otherwise, and raises `Refusal` for one
    of another type.
    """

    values: Mapping[str, Any]
    where: str
    complaints: Complaints

    def has(self, name: str) -> bool:
        """True when the member is present and not null, of whatever type."""
        return self.values.get(name) is not None

    def text(self, name: str) -> str | None:
        """A string member, the empty one included."""
        value = self.values.get(name)
        if value is None or isinstance(value, str):
            return value
        raise self._wrong_type(name, value, wanted="string")

    def required_text(self, name: str) -> str:
        """A string member that must be there and not be empty."""
        value = self.text(name)
        if not value:
            raise self.complaints.missing(self.where, name)
        return value

    def choice(self, name: str, choices: Mapping[str, T]) -> T:
        """A required string out of a closed list, as what it stands for."""
        value = self.required_text(name)
        if value not in choices:
            raise self.complaints.invalid(self.where, name, value=value)
        return choices[value]

    def integer(self, name: str) -> int | None:
        """A whole number; true and false are of another type."""
        value = self.values.get(name)
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        raise self._wrong_type(name, value, wanted="integer")

    def flag(self, name: str) -> bool:
        """A boolean member, false when absent."""
        value = self.values.get(name)
        if value is None or isinstance(value, bool):
            return bool(value)
        raise self._wrong_type(name, value, wanted="bool")

    def decimal(self, name: str, decimals: int) -> int | None:
        """A decimal string as an integer of 10^-decimals; malformed and more precise ones are invalid."""
        value = self.text(name)
        if value is None:
            return None
        parsed = parse_decimal(value, decimals)
        if parsed is None:
            raise self.complaints.invalid(self.where, name, value=value)
        return parsed

    def required_decimal(self, name: str, decimals: int) -> int:
        """As `decimal`, of a member that must be there."""
        value = self.decimal(name, decimals)
        if value is None:
            raise self.complaints.missing(self.where, name)
        return value

    def texts(self, name: str) -> list[str] | None:
        """An array of strings."""
        value = self.values.get(name)
        if value is None:
            return None
        if not isinstance(value, list):
            raise self._wrong_type(name, value, wanted="strings")
        for item in value:
            if not isinstance(item, str):
                raise self._wrong_type(name, item, wanted="string")
        return value

    def objects(self, name: str, where: str) -> list[Body]:
        """A required array of objects, each named `where` in its own complaints."""
        value = self.values.get(name)
        if value is None:
            raise self.complaints.missing(self.where, name)
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self._wrong_type(name, value, wanted="objects")
        return [Body(item, where, self.complaints) for item in value]

    def _wrong_type(self, name: str, value: object, *, wanted: str) -> Refusal:
        return self.complaints.wrong_type(self.where, name, value=value, wanted=wanted)


def decode_body(raw: bytes, where: str, complaints: Complaints) -> Body:
    """The request body as an object; no bytes are an empty one. Raises `Refusal` when it is not one."""
    try:
        values = msgspec.json.decode(raw or b"{}")
    except NOT_JSON as error:
        raise complaints.not_json(str(error)) from error
    if not isinstance(values, dict):
        raise complaints.wrong_type(where, "", value=values, wanted="object")
    return Body(values, where, complaints)


@dataclass(frozen=True)
class Query:
    """The query of one request: the first value of each name; `where` is named in complaints.

    Each method answers None for a name that is absent or empty, unless it says otherwise, and raises `Refusal` for a
    value that it can't use.
    """

    values: Mapping[str, str]
    where: str
    complaints: Complaints

    def text(self, name: str) -> str | None:
        """The value of a name."""
        return self.values.get(name) or None

    def required_text(self, name: str) -> str:
        """The value of a name that must be there."""
        value = self.text(name)
        if value is None:
            raise self.refusal(name, "missing")
        return value

    def names(self, name: str, most: int = 1000) -> frozenset[str] | None:
        """A comma-separated list of at most `most` different entries."""
        value = self.text(name)
        if value is None:
            return None
        found = frozenset(part for part in value.split(",") if part)
        if len(found) > most:
            raise self.refusal(name, "too_many")
        return found

    def integer(self, name: str) -> int | None:
        """A whole number, with a sign or without."""
        value = self.text(name)
        try:
            return None if value is None else int(value)
        except ValueError:
            raise self.refusal(name, "no_number") from None

    def required_integer(self, name: str) -> int:
        """A whole number that must be there."""
        value = self.integer(name)
        if value is None:
            raise self.refusal(name, "missing")
        return value

    def bounded(self, name: str, default: int, most: int) -> int:
        """A whole number from 0 to `most`; absent or 0 means `default`."""
        value = self.integer(name) or default
        if not 0 <= value <= most:
            raise self.refusal(name, "too_high" if value > 0 else "too_low")
        return value

    def flag(self, name: str) -> bool:
        """A boolean: true for "true" and "1", false for everything else."""
        return (self.text(name) or "").lower() in {"true", "1"}

    def choice(self, name: str, choices: Sequence[str]) -> str | None:
        """One of `choices`, spelt exactly so."""
        value = self.text(name)
        if value is not None and value not in choices:
            raise self.refusal(name, "no_choice")
        return value

    def refusal(self, name: str, reason: Reason) -> Refusal:
        """The venue's complaint about a value of this query."""
        return self.complaints.bad_query(self.where, name, reason=reason)
