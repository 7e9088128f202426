"""Lists of own trades that go by numbers, and the orders that their rows name by numbers."""

from __future__ import annotations

import msgspec

from connectors.client.usual.numbered_trades import NumberedTrades, OrderNumbers, TradesFrom
from connectors.client.wire.listing import Listing


class Trade(msgspec.Struct):
    id: int
    time: int


class Venue:
    """Trades of a market, a second after another, of which the newest `page` are shown without a number."""

    def __init__(self, page: int = 2) -> None:
        self.trades: list[Trade] = []
        self.asked: list[str] = []
        self._page = page

    def make(self, count: int) -> None:
        for _ in range(count):
            number = len(self.trades)
            self.trades.append(Trade(100 + 3 * number, 1_000 * number))

    async def read(self, params: TradesFrom) -> Listing[Trade]:
        names = dict(params)
        assert names["symbol"] == "BTC"
        self.asked.append(names.get("fromId", ""))
        if "fromId" not in names:
            return Listing(self.trades[-self._page :], [])
        return Listing([one for one in self.trades if one.id >= int(names["fromId"])], [])


async def test_trades_when_they_are_read_again_then_only_what_is_new_is_asked_for() -> None:
    venue = Venue()
    trades = NumberedTrades(venue.read)
    venue.make(5)
    assert [one.id for one in await trades.since("BTC", 3_500)] == [109, 112]
    venue.make(1)
    assert [one.id for one in await trades.since("BTC", 4_500)] == [115]
    assert [one.id for one in await trades.since("BTC", 9_000)] == []
    assert venue.asked == ["", "113", "116"]


async def test_trades_when_the_newest_do_not_reach_back_then_all_are_read_from_the_beginning() -> None:
    venue = Venue()
    trades = NumberedTrades(venue.read)
    venue.make(5)
    assert len((await trades.since("BTC", 0)).rows) == 5
    assert venue.asked == ["", "0"]
    assert len((await trades.since("BTC", 2_000)).rows) == 3


async def test_trades_when_an_older_time_is_asked_for_then_nothing_is_taken_for_known() -> None:
    venue = Venue()
    trades = NumberedTrades(venue.read)
    venue.make(5)
    await trades.since("BTC", 3_500)
    assert len((await trades.since("BTC", 500)).rows) == 5


async def test_trades_when_there_were_none_then_the_first_one_is_found() -> None:
    venue = Venue()
    trades = NumberedTrades(venue.read)
    assert (await trades.since("BTC", 0)).rows == []
    venue.make(1)
    assert [one.id for one in await trades.since("BTC", 0)] == [100]


def test_number_when_no_order_has_it_again_and_again_then_it_stands_for_itself() -> None:
    numbers = OrderNumbers()
    numbers.learn(5, "a")
    numbers.learn("", "b")
    for _ in range(2):
        numbers.miss([5, 6])
        assert (numbers.order_of("5"), numbers.order_of(6)) == ("a", None)
    numbers.miss([6])
    assert numbers.order_of(6) == "6"


def test_number_when_it_is_learnt_after_all_then_its_misses_are_forgotten() -> None:
    numbers = OrderNumbers()
    numbers.miss([6])
    numbers.miss([6])
    numbers.learn(6, "a")
    numbers.miss([6])
    assert numbers.order_of(6) == "a"
