"""What a venue's key may do, as far as the venue says. Pure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Annotated, Literal

from pydantic import Field

from framework.domain.venue import KeyRights as KeyRights
from framework.domain.venue import Right as Right
from framework.domain.venue import UnknownRights as Unknown
from framework.domain.venue import notes_on as notes_on

__all__ = ["DeclaredRights", "KeyRights", "Right", "Unknown", "as_declared", "notes_on", "rights_of"]

DeclaredRights = Annotated[
    tuple[Literal["read", "trade", "withdraw"], ...],
    Field(description="What the key may do, where the venue does not say it; as chosen when the key was made."),
]
"""A setting of venues that do not say what a key may do."""


def as_declared(declared: DeclaredRights) -> Callable[[], Awaitable[Unknown]]:
    """What a connector answers for a venue that does not say what the key may do (`ConnectorParts.key_rights`)."""

    async def rights() -> Unknown:
        return Unknown(declared)

    return rights


def rights_of(
    scopes: Iterable[str], meanings: Mapping[str, frozenset[Right]], *, has_ip_list: bool | None = None
) -> KeyRights:
    """The rights of a key with these scopes. A scope that `meanings` does not have gives none."""
    named = tuple(scopes)
    return KeyRights(frozenset().union(*(meanings.get(one, frozenset()) for one in named)), named, has_ip_list)
