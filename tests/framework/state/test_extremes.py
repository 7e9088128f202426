"""Numbers as large as a record can hold: whatever they add up to, the state is written, read again, and goes on."""

from __future__ import annotations

from random import Random

import msgspec
import pytest

from framework.domain.account_events import (
    AccountEvent,
    BalanceReport,
    CashFlow,
    CashFlowKind,
    Fill,
    FillVoided,
    InstrumentDefined,
    InstrumentPurged,
    InstrumentSettled,
)
from framework.domain.numbers import Money, Price, Size
from framework.domain.orders import Side
from framework.domain.plausibility import implausible
from framework.state.accounts import AccountRecord, Accounts
from tests.support.state_records import INSTRUMENT, MARKET, VENUE, adopted, listed, new

AMOUNTS = (0, 1, 5, 10**6, 2**31, 2**62, 2**63 - 1)
SIGNED = (*AMOUNTS, *(-one for one in AMOUNTS))
CURRENCIES = ("", "USD", "BTC", "USDT", "other")
TERMS = msgspec.structs.replace(INSTRUMENT, base_currency="BTC", settle_currency="USDT")


def a_fill(rng: Random, at: int) -> Fill:
    return Fill(
        venue=VENUE,
        instrument=MARKET,
        fill_id=f"f{rng.randrange(12)}",
        venue_order_id=rng.choice(("", "v1", "v2")),
        client_order_id=rng.choice(("", "c1", "c2")),
        side=rng.choice(list(Side)),
        price=Price(rng.choice(AMOUNTS)),
        size=Size(rng.choice(AMOUNTS)),
        fee=Money(rng.choice(SIGNED)),
        is_maker=True,
        ts_venue=rng.choice((0, 5, 2**63 - 1)),
        ts_recv=at,
        cost=rng.choice((None, Money(rng.choice(SIGNED)))),
        fee_currency=rng.choice(CURRENCIES),
        fee_decimals=rng.choice((0, 2, 24)),
    )


def a_flow(rng: Random, at: int) -> CashFlow:
    return CashFlow(
        venue=VENUE,
        flow_id=f"w{rng.randrange(9)}",
        kind=rng.choice((CashFlowKind.FUNDING, CashFlowKind.FEE)),
        currency=rng.choice(CURRENCIES),
        amount=rng.choice(SIGNED),
        decimals=rng.choice((0, 2, 24)),
        ts_venue=at,
        ts_recv=at,
        instrument=rng.choice((MARKET, INSTRUMENT.id, TERMS.id)),
    )


def an_event(rng: Random, at: int) -> AccountEvent:
    kind = rng.randrange(10)
    if kind < 4:
        return a_fill(rng, at)
    if kind < 6:
        return a_flow(rng, at)
    amount = rng.choice(SIGNED)
    others: tuple[AccountEvent, ...] = (
        listed(rng.choice(("c1", "c2", "")), filled=rng.choice(AMOUNTS), size=rng.choice(AMOUNTS), at=at),
        BalanceReport(venue=VENUE, currency="BTC", amount=amount, decimals=rng.choice((0, 24)), ts_recv=at),
        FillVoided(venue=VENUE, fill_id=f"f{rng.randrange(12)}", ts_recv=at),
        InstrumentSettled(MARKET, Price(abs(amount)), 1, at),
        InstrumentPurged(MARKET, at),
        adopted(venue_order_id="v2"),
    )
    return rng.choice(others)


def shown(accounts: Accounts) -> object:
    """What people see of the positions."""
    positions = accounts.positions
    rows = [(key, one) for key, one in (*positions.accounts(), *positions.strategies())]
    return [(key, str(one), one.funding) for key, one in rows if not one.is_blank or one.funding]


def records(seed: int) -> list[AccountRecord]:
    rng = Random(seed)
    events = [an_event(rng, at) for at in range(2, rng.choice((8, 30)))]
    assert not any(implausible(one) for one in events)
    return [InstrumentDefined(TERMS, 1), new("c1"), new("c2", strategy="taker"), *events]


@pytest.mark.parametrize("seed", range(40))
def test_state_when_a_snapshot_is_taken_at_any_record_then_it_goes_on_alike(seed: int) -> None:
    taken = list[bytes]()
    whole, folded = Accounts(), records(seed)
    for at, record in enumerate(folded):
        taken.append(whole.to_snapshot())
        whole.apply(record, at)

    for cut, snapshot in enumerate(taken):
        again = Accounts.from_snapshot(snapshot)
        for at, record in enumerate(folded[cut:], cut):
            again.apply(record, at)
        assert (again.digest(), shown(again)) == (whole.digest(), shown(whole))
