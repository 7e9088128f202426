"""What a venue's stream received and tolerated. Pure."""

from __future__ import annotations

import msgspec

_NAMES_MAX = 64


class DecodeCounts(msgspec.Struct):
    """What the stream received and tolerated since start, by name. The 65th new name of a table counts under "…"."""

    unknown_types: dict[str, int] = {}
    unknown_fields: dict[str, int] = {}
    unknown_values: dict[str, int] = {}
    unreadable: int = 0
    unreadable_kinds: dict[str, int] = {}
    repeated: int = 0
    gaps: int = 0
    strays: int = 0
    """Frames of subscriptions that have ended, or of markets not followed."""

    def count(self, names: dict[str, int], name: str) -> int:
        """Count `name` once in `names`, one of the tables. Return how many there were of it."""
        if name not in names and len(names) >= _NAMES_MAX:
            name = "…"
        names[name] = names.get(name, 0) + 1
        return names[name]
