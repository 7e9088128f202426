"""The stream: books as a snapshot and changes, within a depth, and trades."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import aiohttp

from tests.connectors.bitexasia.signed_client import Client, StartClient

BOOK = {"name": "orderbook", "pair": "BTC-USD"}
TRADES = {"name": "trades", "pair": "BTC-USD"}


class Stream:
    """One connection; `book` is what its frames of the book come to."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self.book: dict[str, dict[str, str]] = {"buy": {}, "sell": {}}
        self.seq = 0
        self.updates = 0

    async def send(self, op: str, *channels: dict[str, Any]) -> None:
        """One command."""
        await self._socket.send_str(json.dumps({"op": op, "channels": channels}))

    async def next(self) -> dict[str, Any]:
        """The next frame, taken into the book."""
        frame: dict[str, Any] = json.loads(await self._socket.receive_str(timeout=5))
        if frame["type"] == "snapshot":
            self.book = {"buy": dict(frame["bids"]), "sell": dict(frame["asks"])}
            self.seq = frame["seq"]
        elif frame["type"] == "update":
            assert frame["prev_seq"] == self.seq
            self.seq = frame["seq"]
            self.updates += 1
            for side, price, size in frame["changes"]:
                self.book[side].pop(price, None)
                if Decimal(size):
                    self.book[side][price] = size
        return frame

    async def until(self, kind: str) -> dict[str, Any]:
        """The next frame of a type."""
        while (frame := await self.next())["type"] != kind:
            pass
        return frame


@asynccontextmanager
async def connected(client: Client) -> AsyncIterator[Stream]:
    """A connection to the stream; nobody signs there."""
    async with client.session.ws_connect(client.ready["ws_url"]) as socket:
        yield Stream(socket)


async def test_book_when_subscribed_then_a_snapshot_comes_and_after_it_only_changes(client: Client) -> None:
    await client.quote([["62000.00", "1.00"], ["61990.00", "0.50"]], [["63000.00", "1.00"]])
    async with connected(client) as stream:
        await stream.send("subscribe", BOOK)
        first = await stream.next()
        assert (first["type"], first["channel"], first["pair"]) == ("snapshot", "orderbook", "BTC-USD")
        assert first["bids"] == [["62000.00", "1.00"], ["61990.00", "0.50"]]
        assert first["ts"] > 1_700_000_000_000
        placed = await client.order(price="61990")
        change = await stream.next()
        assert change["changes"] == [["buy", "61990.00", "0.51"]]
        await client.call("POST", f"/orders/{placed.body['id']}/cancel")
        assert (await stream.next())["changes"] == [["buy", "61990.00", "0.50"]]
        await client.quote([["62000.00", "1.00"]], [["63000.00", "1.00"]])
        assert (await stream.next())["changes"] == [["buy", "61990.00", "0"]], "what is as it was is not sent again"
        assert stream.book == {"buy": {"62000.00": "1.00"}, "sell": {"63000.00": "1.00"}}


async def test_book_when_the_flow_runs_then_snapshot_and_changes_come_to_the_book(start: StartClient) -> None:
    client = await start(speed=100.0)
    async with connected(client) as stream:
        await stream.send("subscribe", BOOK | {"depth": 5}, TRADES)
        trades = 0
        while stream.updates < 300 or not trades:
            trades += (await stream.next())["type"] == "trade"
            assert len(stream.book["buy"]) <= 5
            assert len(stream.book["sell"]) <= 5
        await client.admin("act", {"act": "quiet"})
        book = (await client.call("GET", "/orderbook/BTC-USD?depth=5")).body
        real = {"buy": dict(book["bids"]), "sell": dict(book["asks"])}
        async with asyncio.timeout(5):
            while stream.book != real:
                await stream.next()


async def test_trade_when_made_then_it_comes_once_with_the_taker_s_side(client: Client) -> None:
    await client.quote([["62000.00", "1.00"]], [])
    async with connected(client) as stream:
        await stream.send("subscribe", TRADES)
        await stream.send("bad")
        await stream.until("error")
        await client.admin(
            "act", {"act": "trade", "instrument": "BTC-USD", "side": "sell", "price": "62000.00", "size": "0.25"}
        )
        trade = await stream.next()
        assert (trade["price"], trade["size"], trade["taker_side"]) == ("62000.00", "0.25", "sell")
        assert trade["trade_id"]


async def test_command_when_it_is_wrong_then_it_is_answered_with_an_error(client: Client) -> None:
    async with connected(client) as stream:
        for channel in (BOOK | {"pair": "XYZ-USD"}, BOOK | {"depth": 101}, BOOK | {"depth": 0}, {"name": "fills"}):
            await stream.send("subscribe", channel)
            error = await stream.next()
            assert (error["type"], bool(error["code"]), bool(error["message"])) == ("error", True, True)


async def test_book_when_unsubscribed_then_nothing_of_it_comes_any_more(client: Client) -> None:
    async with connected(client) as stream:
        await stream.send("subscribe", BOOK, TRADES)
        await stream.until("snapshot")
        await stream.send("unsubscribe", BOOK)
        await stream.send("subscribe", BOOK | {"pair": "XYZ-USD"})
        await stream.until("error")
        await client.quote([["62000.00", "1.00"]], [])
        act = {"act": "trade", "instrument": "BTC-USD", "side": "sell", "price": "62000.00", "size": "0.25"}
        await client.admin("act", act)
        assert (await stream.next())["type"] == "trade"


async def test_gap_when_a_fault_makes_one_then_a_number_is_missing(client: Client) -> None:
    async with connected(client) as stream:
        await stream.send("subscribe", BOOK)
        first = await stream.next()
        await client.admin("faults", {"kind": "sequence_gap", "count": 1})
        await client.order(price="50000")
        await client.order(price="50001")
        frame = json.loads(await stream._socket.receive_str(timeout=5))
        assert (first["seq"] + 1, first["seq"] + 2) == (frame["prev_seq"], frame["seq"])
