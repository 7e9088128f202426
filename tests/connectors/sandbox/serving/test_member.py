"""The account that REST serves, and who may use it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from connectors.sandbox.engine.model import OrderRequest
from connectors.sandbox.serving.keys import Access, Claim, Flaw, HmacKey, member_keys
from connectors.sandbox.serving.limits import RequestWindow
from connectors.sandbox.serving.rest import Arrival, Refusal
from connectors.sandbox.serving.venue import Member, ServedVenue
from tests.connectors.sandbox.serving.listed import SPOT, Turned, listed_venue

# Of the text "text": made with `openssl dgst -sha256 -hmac secret`.
SIGNATURE = "2f443685592900e619f2f3b2350c3c8a5738e2e7a26bc9a244d3393c3cd6abd6"
STAMP = str(Turned().ns // 1_000_000)


def refused(flaw: str, more: Any = None) -> Refusal:
    return Refusal(400, flaw, headers=more)


def member_of(served: ServedVenue) -> Member:
    return Member(served, "other", {"USDC": 1_000 * 10**6}, lambda one: refused(one.code))


def bid(price: int) -> OrderRequest:
    return OrderRequest(account="other", market_id=SPOT.market_id, side="bid", price=price, size=10**4)


def checked(access: Access, served: ServedVenue, claim: Claim, *, trades: bool = False) -> str:
    """What is refused of a claim; empty for nothing."""
    arrival = cast("Arrival", SimpleNamespace(now_ns=served.clock.engine_ns()))
    try:
        access.check(claim, arrival, served, trades=trades)
    except Refusal as e:
        return str(e.body)
    return ""


def test_member_when_an_order_is_placed_then_it_is_listed_held_back_and_published() -> None:
    served = listed_venue()
    member, seen = member_of(served), []
    served.listen(seen.append)
    order = member.submit(bid(10_000), served.clock.engine_ns())
    now_ns = served.clock.engine_ns()
    assert seen
    assert member.order(order.order_id, now_ns) is order
    assert member.orders(now_ns, open_only=True) == [order]
    held = member.holdings(now_ns)[0]
    assert (held.currency, held.total, held.available, held.locked) == ("USDC", "1000", "900", "100")
    member.cancel(order.order_id, now_ns)
    assert member.orders(now_ns, open_only=True) == []


def test_member_when_reads_lag_then_balance_and_what_is_held_back_are_of_one_time() -> None:
    clock = Turned()
    served = listed_venue(clock)
    member = member_of(served)
    served.reads.set_lag(1_000)
    member.submit(bid(10_000), clock.ns)
    before = member.holdings(clock.ns)[0]
    assert (before.total, before.available, before.locked) == ("1000", "1000", "0")
    clock.ns += 1_000
    after = member.holdings(clock.ns)[0]
    assert (after.total, after.available, after.locked) == ("1000", "900", "100")


def test_member_when_the_exchange_refuses_then_the_venues_refusal_is_raised() -> None:
    served = listed_venue()
    member, now_ns = member_of(served), served.clock.engine_ns()
    for act, code in (
        (lambda: member.submit(bid(200_000), now_ns), "insufficient_balance"),
        (lambda: member.cancel("none", now_ns), "not_found"),
        (lambda: member.order("none", now_ns), "not_found"),
        (lambda: member.market("none"), "market_not_found"),
    ):
        with pytest.raises(Refusal) as refusal:
            act()
        assert refusal.value.body == code


def test_request_when_key_signature_time_or_right_is_wrong_then_it_is_refused_for_that() -> None:
    served, keys = listed_venue(), {"t": HmacKey("secret"), "r": HmacKey("secret", may_trade=False)}
    flaws: list[Flaw] = []
    access = Access(
        keys, RequestWindow(3, 10**9), stamp_ms_max=5_000, refuse=lambda flaw, more: flaws.append(flaw) or refused(flaw)
    )
    good = Claim("t", SIGNATURE, b"text", STAMP)
    assert checked(access, served, good._replace(key_id="x")) == "unknown_key"
    assert checked(access, served, good._replace(text=b"texts")) == "bad_signature"
    assert checked(access, served, good._replace(stamp_ms=str(int(STAMP) - 5_001))) == "stale_time"
    assert checked(access, served, good._replace(stamp_ms="now")) == "stale_time"
    assert checked(access, served, good._replace(key_id="r"), trades=True) == "may_not_trade"
    assert checked(access, served, good, trades=True) == "replayed"
    assert len(flaws) == 6


def test_keys_when_they_are_made_again_then_the_secrets_are_those_of_before(tmp_path: Path) -> None:
    first: dict[str, HmacKey] = {}
    again: dict[str, HmacKey] = {}
    ready = member_keys(tmp_path, first)
    assert member_keys(tmp_path, again) == ready
    assert first == again
    assert (first["trader"].may_trade, first["reader"].may_trade) == (True, False)
    assert Path(ready["reader_secret_path"]).read_text() == first["reader"].secret
