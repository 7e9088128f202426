"""A seeded set of binary markets with the texts a venue shows about them: series, events, strikes, titles.

The invented subject is the water level at a tide gate: each event is one gate on one day, each of its markets a band of
levels or a threshold. Prices are 10^-4 dollars.
"""

import random
from datetime import UTC, datetime

import msgspec
from msgspec.structs import replace

from connectors.sandbox.engine.model import NS_PER_S, FeeModel, MarketSpec, PriceBand
from connectors.sandbox.engine.rules import Rules
from connectors.sandbox.seeding import new_uuid

HOUR_NS = 3_600 * NS_PER_S

LINEAR_CENT = (PriceBand(0, 10_000, 100),)
TAPERED_DECI_CENT = (PriceBand(0, 1_000, 10), PriceBand(1_000, 9_000, 100), PriceBand(9_000, 10_000, 10))
CATEGORY = "Climate and Weather"
GATES = (("TIDE", "Harbour"), ("SURGE", "River mouth"), ("EBB", "North lock"), ("SWELL", "Outer mole"))
LEVELS_CM = (170, 250)  # where the water may stand: below and above every strike, too
MULTIVARIATE = "KXMVE"  # what series of markets with several legs begin with (recorded)
ROLLING_SERIES = "KXROLL"  # a new market of it opens whenever the last one closes, when that is asked for
RULES = Rules(
    self_trade="taker_at_cross",
    kinds=("limit",),
    triggers=(),
    reduce_only_needs_ioc=True,
    refuses_unfillable_fok=True,
    pause_cancels="marked",
    resume_cancels="all",
)
"""The venue's order rules (vendor docs); that post-only needs good-till-canceled is an *assumption*."""
FEES: dict[str, FeeModel] = {
    "quadratic": FeeModel(),
    "quadratic_with_maker_fees": FeeModel(maker_ppm=17_500),
    "quadratic_with_combo_maker_fees": FeeModel(maker_ppm=35_000),
}
"""Fee models by the venue's `fee_type` (vendor docs); the balance step is a direct member's $0.0001."""


class Series(msgspec.Struct, frozen=True):
    """A family of recurring events. `fee_type` names its fee model in FEES."""

    ticker: str
    title: str
    frequency: str
    fee_type: str


class EventListing(msgspec.Struct, frozen=True, kw_only=True):
    """One occurrence of a series, with one or more markets; `strike_ns` is when its outcome is measured. Of one that
    `is_exclusive` one market pays at most."""

    event_ticker: str
    series_ticker: str
    title: str
    sub_title: str
    strike_ns: int
    is_exclusive: bool = False


class MarketListing(msgspec.Struct, frozen=True, kw_only=True):
    """A market with its texts. Strikes are whole centimetres: above the floor, or from floor to cap where it has one.

    `structure` names the tick grid; `opening_price` is where the order flow's fair value starts, in price units. A
    market of several `legs` (event and ticker each) pays when YES of each does.
    """

    spec: MarketSpec
    market_uuid: str
    event_ticker: str
    series_ticker: str
    event_title: str
    yes_sub_title: str
    floor_strike: int
    cap_strike: int | None
    structure: str
    created_ns: int
    opening_price: int
    legs: tuple[tuple[str, str], ...] = ()


class Listings(msgspec.Struct, frozen=True):
    """What the generator made, each list in order of listing."""

    series: list[Series]
    events: list[EventListing]
    markets: list[MarketListing]


class Catalog:
    """All listings by ticker, each kind in order of listing: what is around the engine's markets."""

    def __init__(self) -> None:
        self.series: dict[str, Series] = {}
        self.events: dict[str, EventListing] = {}
        self.markets: dict[str, MarketListing] = {}

    def add(self, listings: Listings) -> None:
        """List more series, events and markets; those that are known already are replaced."""
        self.series |= {one.ticker: one for one in listings.series}
        self.events |= {one.event_ticker: one for one in listings.events}
        self.markets |= {one.spec.market_id: one for one in listings.markets}

    def event_of(self, ticker: str) -> str:
        """The event ticker of a market. Raises `KeyError` when there is no such market."""
        return self.markets[ticker].event_ticker

    def ticker_of(self, market_uuid: str) -> str | None:
        """The ticker of the market that the stream names by this UUID, or None."""
        return next((ticker for ticker, one in self.markets.items() if one.market_uuid == market_uuid), None)

    def tickers_of(self, group_ticker: str) -> list[str]:
        """The tickers of the markets of an event or a series, in order of listing; empty for an unknown one."""
        return [ticker for ticker, one in self.markets.items() if group_ticker in (one.event_ticker, one.series_ticker)]


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """When the generated markets live, in seconds after the start.

    The first opens at once and closes after `close_after_s`; each next one opens `stagger_s` and closes `stagger_s`
    later. Determination comes `determine_after_s` after the close, payment `settle_after_s` after that.
    """

    close_after_s: int = 24 * 3_600
    stagger_s: int = 0
    determine_after_s: int = 5
    settle_after_s: int = 10


LONG_LIVED = Schedule()  # everything is open from the start and for a day


def generate(rng: random.Random, *, now_ns: int, count: int = 4, schedule: Schedule = LONG_LIVED) -> Listings:
    """Make `count` markets, three to an event. Every third has the tapered grid; every second event pays maker fees,
    and its markets exclude each other. What they pay is fixed, by one water level for each event; prices do not know
    it.

    Tickers are unique for one start time. Raises `ValueError` when `count` is below 1 or above 1000.
    """
    if not 1 <= count <= 1_000:
        raise ValueError(f"count is {count}; ask for 1 to 1000 markets")
    listings = Listings([], [], [])
    for index in range(count):
        event_index, place = divmod(index, 3)
        if place == 0:
            _add_event(listings, event_index, now_ns=now_ns)
        event = listings.events[-1]
        fee_type = next(one.fee_type for one in listings.series if one.ticker == event.series_ticker)
        listings.markets.append(_market(rng, event, fee_type, index=index, now_ns=now_ns, schedule=schedule))
    return replace(listings, markets=_decided(rng, listings))


def _decided(rng: random.Random, listings: Listings) -> list[MarketListing]:
    """The markets with their outcomes: one water level decides all of an event, so what their strikes say of each other
    holds when they settle."""
    levels = {event.event_ticker: rng.randrange(*LEVELS_CM) for event in listings.events}
    return [_settled(one, levels[one.event_ticker]) for one in listings.markets]


def _settled(one: MarketListing, level: int) -> MarketListing:
    pays = level > one.floor_strike if one.cap_strike is None else one.floor_strike <= level <= one.cap_strike
    return replace(one, spec=replace(one.spec, settle_value=one.spec.one if pays else 0))


def generate_next(rng: random.Random, *, now_ns: int, period_s: int) -> Listings:
    """The market of a rolling series that opens now and closes after `period_s` seconds, with its series and event.

    It is determined and paid a tenth of that time later each, but 1 s at least. Its ticker says when it opened.
    """
    series = Series(ROLLING_SERIES, "Water level, short term", "custom", "quadratic")
    opening = datetime.fromtimestamp(now_ns // NS_PER_S, UTC)
    event = EventListing(
        event_ticker=f"{ROLLING_SERIES}-{opening:%y%b%d%H%M%S}".upper(),
        series_ticker=ROLLING_SERIES,
        title=f"Water level {period_s} s after {opening:%H:%M:%S}",
        sub_title=f"After {opening:%H:%M:%S}",
        strike_ns=now_ns + period_s * NS_PER_S,
    )
    delay_s = max(period_s // 10, 1)
    schedule = Schedule(close_after_s=period_s, determine_after_s=delay_s, settle_after_s=delay_s)
    market = _market(rng, event, series.fee_type, index=0, now_ns=now_ns, schedule=schedule)
    return Listings([series], [event], [market])


def combine(rng: random.Random, markets: list[MarketListing], *, now_ns: int) -> Listings:
    """A market of several legs: it pays when YES of each of `markets` does, and lives as long as the first."""
    first, fee_type = markets[0], "quadratic_with_combo_maker_fees"
    title = ",".join(f"yes {one.yes_sub_title}" for one in markets)
    series = Series(f"{MULTIVARIATE}TIDE", "Water levels together", "custom", fee_type)
    event = EventListing(
        event_ticker=f"{series.ticker}-S{rng.getrandbits(48):012X}",
        series_ticker=series.ticker,
        title=title,
        sub_title=title,
        strike_ns=now_ns,
    )
    value = min(one.spec.settle_value for one in markets)
    ticker = f"{event.event_ticker}-{rng.getrandbits(44):011X}"
    market = replace(
        first,
        spec=replace(first.spec, market_id=ticker, fees=FEES[fee_type], settle_value=value),
        market_uuid=new_uuid(rng),
        event_ticker=event.event_ticker,
        series_ticker=series.ticker,
        event_title=title,
        yes_sub_title=title,
        opening_price=2_500,
        legs=tuple((one.event_ticker, one.spec.market_id) for one in markets),
    )
    return Listings([series], [event], [market])


def _add_event(listings: Listings, event_index: int, *, now_ns: int) -> None:
    day_index, gate_index = divmod(event_index, len(GATES))
    name, gate = GATES[gate_index]
    series_ticker = f"KX{name}"
    fee_type = "quadratic_with_maker_fees" if gate_index % 2 else "quadratic"
    if day_index == 0:
        listings.series.append(Series(series_ticker, f"{gate} water level", "daily", fee_type))
    strike_ns = now_ns + day_index * 24 * HOUR_NS
    day = datetime.fromtimestamp(strike_ns // NS_PER_S, UTC)
    listings.events.append(
        EventListing(
            event_ticker=f"{series_ticker}-{day:%y%b%d}".upper(),
            series_ticker=series_ticker,
            title=f"{gate} high water on {day:%b} {day.day}, {day.year}",
            sub_title=f"On {day:%b} {day.day}, {day.year}",
            strike_ns=strike_ns,
            is_exclusive=bool(gate_index % 2),
        )
    )


def _market(
    rng: random.Random, event: EventListing, fee_type: str, *, index: int, now_ns: int, schedule: Schedule
) -> MarketListing:
    place = index % 3
    step = rng.randrange(8)
    # Bands of 10 cm that begin 12 cm apart at least have no level in common.
    level = 180 + 20 * place + 2 * (step % 5 if event.is_exclusive else step)
    between, tapered = place > 0 or event.is_exclusive, place == 2
    spec = MarketSpec(
        market_id=f"{event.event_ticker}-{'B' if between else 'T'}{level}",
        bands=TAPERED_DECI_CENT if tapered else LINEAR_CENT,
        fees=FEES[fee_type],
        open_ns=now_ns + index * schedule.stagger_s * NS_PER_S,
        close_ns=now_ns + (schedule.close_after_s + index * schedule.stagger_s) * NS_PER_S,
        determine_delay_ns=schedule.determine_after_s * NS_PER_S,
        settle_delay_ns=schedule.settle_after_s * NS_PER_S,
    )
    return MarketListing(
        spec=spec,
        market_uuid=new_uuid(rng),
        event_ticker=event.event_ticker,
        series_ticker=event.series_ticker,
        event_title=event.title,
        yes_sub_title=f"{level} to {level + 10} cm" if between else f"Above {level} cm",
        floor_strike=level,
        cap_strike=level + 10 if between else None,
        structure="tapered_deci_cent" if tapered else "linear_cent",
        created_ns=now_ns - HOUR_NS,
        opening_price=100 * rng.randrange(30, 71),
    )
