"""What a venue's key may do, as far as the venue says. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Annotated, Literal

import msgspec
from pydantic import Field


class Right(Enum):
    """One thing that a key may do."""

    READ = "read"
    TRADE = "trade"
    WITHDRAW = "withdraw"


DeclaredRights = Annotated[
    tuple[Literal["read", "trade", "withdraw"], ...],
    Field(description="What the key may do, where the venue does not say it; as chosen when the key was made."),
]
"""A setting of venues that do not say what a key may do."""


class KeyRights(msgspec.Struct, frozen=True):
    """What the venue says that the key may do, and its own words for it."""

    rights: frozenset[Right]
    scopes: tuple[str, ...]


class Unknown(msgspec.Struct, frozen=True):
    """The venue does not say what the key may do. `declared` is what the settings say of it; empty for nothing."""

    declared: DeclaredRights = ()


def rights_of(scopes: Iterable[str], meanings: Mapping[str, frozenset[Right]]) -> KeyRights:
    """The rights of a key with these scopes. A scope that `meanings` does not have gives none."""
    named = tuple(scopes)
    return KeyRights(frozenset().union(*(meanings.get(one, frozenset()) for one in named)), named)


def notes_on(rights: KeyRights | Unknown) -> tuple[str, ...]:
    """What an operator should know of a key before it trades, a sentence each; none when all is well.

    A key needs to trade, and must not withdraw: what a thief of the key can do is what the key may do.
    """
    if isinstance(rights, Unknown):
        if rights.declared:
            return notes_on(KeyRights(frozenset(map(Right, rights.declared)), rights.declared))
        return ("the venue does not say what the key may do: make sure that it may trade and can't withdraw",)
    scopes = ", ".join(rights.scopes) or "none"
    notes = []
    if Right.TRADE not in rights.rights:
        notes.append(f"the key may not trade, its scopes are {scopes}: orders would be refused")
    if Right.WITHDRAW in rights.rights:
        notes.append(f"the key may withdraw, its scopes are {scopes}: use one that can't")
    return tuple(notes)
