from __future__ import annotations

import msgspec
import pytest

from framework.domain.events import kind_of
from framework.domain.instruments import InstrumentId
from framework.domain.market_events import BookDelta
from framework.domain.numbers import Price, Size
from framework.domain.orders import Side


class Renamed(msgspec.Struct, tag="Heartbeat", array_like=True):
    venue: str = "tide"


class Untagged(msgspec.Struct):
    venue: str = "tide"


def test_kind_when_asked_then_it_is_the_tag_that_is_written() -> None:
    delta = BookDelta(InstrumentId("tide:A"), 1, 2, Side.BUY, Price(1), Size(1))
    assert kind_of(delta) == "BookDelta" == msgspec.json.decode(msgspec.json.encode(delta))[0]


def test_kind_when_a_class_has_another_name_than_its_tag_then_it_is_the_tag() -> None:
    assert [kind_of(Renamed()), kind_of(Renamed())] == ["Heartbeat", "Heartbeat"]


def test_kind_when_there_is_no_tag_then_the_class_is_named() -> None:
    with pytest.raises(TypeError, match=r"Untagged.*no tag"):
        kind_of(Untagged())
