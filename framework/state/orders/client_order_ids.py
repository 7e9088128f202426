"""The format of the daemon's own client order ids: the only place that writes or reads it.

An id is `<instance>-<epoch>-<count>`, for example `tg7f3a91-12-45`. The instance is drawn once per state directory,
the epoch is raised durably at every start (C24), and the count begins with 1 in every epoch. So no id is ever used
twice, by no run and after no crash (C10, I2), and a replay gives the same ids again (I22).
"""

from __future__ import annotations

import re
from typing import NamedTuple

from framework.domain.ports import Rng

_INSTANCE_BYTES = 3
_FORMAT = re.compile(r"(tg[0-9a-f]{6})-(\d+)-(\d+)")


class ParsedOrderId(NamedTuple):
    """The parts of a client order id: the daemon's instance, its epoch (from 1) and its number within that (from 1)."""

    instance: str
    epoch: int
    number: int


class ClientOrderIds:
    """The client order ids of one run, in ascending order. An epoch is never used twice, so no id is either."""

    def __init__(self, instance: str, epoch: int) -> None:
        self._prefix = f"{instance}-{epoch}-"
        self._count = 0

    def next(self) -> str:
        """The next id of this run, for example `tg7f3a91-12-45`."""
        self._count += 1
        return f"{self._prefix}{self._count}"


def new_instance(rng: Rng) -> str:
    """A name for a new state directory, for example `tg7f3a91`: it stays the same for all runs on it."""
    return f"tg{rng.randbytes(_INSTANCE_BYTES).hex()}"


def parse_client_order_id(text: str) -> ParsedOrderId | None:
    """The parts of an id in the daemon's format, None for any other text. An id in the format may still be another
    daemon's: compare the instance."""
    found = _FORMAT.fullmatch(text)
    return ParsedOrderId(found[1], int(found[2]), int(found[3])) if found else None
