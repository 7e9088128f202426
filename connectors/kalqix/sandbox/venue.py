"""The exchange as KalqiX has it: its markets, its one account, and who may do what with it."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from connectors.kalqix.sandbox.rows import Renderer
from connectors.kalqix.sandbox.signatures import canonical, hmac_texts, is_by_agent, is_by_wallet
from connectors.kalqix.sandbox.words import refusal
from connectors.sandbox.engine.audit_report import problems
from connectors.sandbox.engine.events import Event, FillEvent, TradePrint
from connectors.sandbox.engine.model import NS_PER_MS, NS_PER_S, FeeModel, Fill, MarketSpec, PriceBand
from connectors.sandbox.engine.rules import Rules
from connectors.sandbox.serving.candles import Candles
from connectors.sandbox.serving.faults import COMMON_KINDS, FAULT_KINDS
from connectors.sandbox.serving.keys import UsedOnce, hmac_is_valid
from connectors.sandbox.serving.limits import RequestWindow
from connectors.sandbox.serving.rest import NOT_JSON, Arrival, Refusal, Route
from connectors.sandbox.serving.truth import truth
from connectors.sandbox.serving.venue import Member, ServedVenue

ACCOUNT = "member"
STAMP_AGE_MS_MAX = 300_000
MINUTE_NS = 60 * NS_PER_S
NS_PER_US = 1_000
TRADES_KEPT = 60_000
"""Trades whose exact times are kept: as many as the tapes of the three markets hold."""
OPENING_PRICES = {"BTC_USDC": 6_300_000, "ETH_USDC": 250_000, "SOL_USDC": 15_000}
MARKET_IDS = {name: number for number, name in enumerate(OPENING_PRICES, 1)}
BALANCES = {"USDC": 500_000 * 10**6, "BTC": 10 * 10**4, "ETH": 200 * 10**4, "SOL": 2_000 * 10**4}
KINDS = COMMON_KINDS | {kind: FAULT_KINDS[kind] for kind in ("slow_cancel", "replay_refusal", "ip_refused")}
FEES = FeeModel(formula="notional", taker_ppm=250, maker_ppm=100, rounding="up")
RULES = Rules(cancel_min_ns=10 * NS_PER_MS, cancel_max_ns=50 * NS_PER_MS, triggers=())
"""No self-trade prevention is documented; a cancel takes tens of milliseconds (vendor's connector)."""


def market_of(name: str) -> MarketSpec:
    """A coin against USDC: a tick of 0.01, a step of 0.0001, orders of 1 USDC at least, within 20 % of the last."""
    base, _, quote = name.partition("_")
    return MarketSpec(
        market_id=name, kind="spot", price_decimals=2, size_decimals=4, bands=(PriceBand(1, 10**9, 1),), size_step=1,
        size_min=1, notional_min=10**6, price_deviation_ppm=200_000, market_margin_ppm=50_000, fees=FEES,
        cash_account=quote, base=base,
    )  # fmt: skip


@dataclass
class Credentials:
    """Who may act for the account: API keys with their secrets, its wallet, and agents' public keys by their index."""

    api_keys: dict[str, str] = field(default_factory=dict)
    wallet: str = ""
    agents: dict[int, str] = field(default_factory=dict)


@dataclass
class Transfer:
    """Money that went to another wallet (`is_withdrawal`: out of the venue, to its own on a chain). Engine time."""

    transfer_id: str
    asset: str
    amount: int
    ns: int
    signature: str
    to_wallet: str
    chain_id: int = 0
    is_withdrawal: bool = False


class KalqixVenue:
    """The exchange with three markets, its member, and what only this venue has."""

    def __init__(
        self,
        credentials: Credentials,
        *,
        has_agents: bool,
        seed: int,
        speed: float,
        limits: tuple[int, int],
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """`limits`: requests a second of an address, and requests a minute of a wallet. `now_ns` reads wall time."""
        self.credentials = credentials
        self.has_agents = has_agents
        self.served = ServedVenue(seed=seed, now_ns=now_ns, fault_kinds=KINDS, rules=RULES)
        for name in OPENING_PRICES:
            self.served.exchange.add_market(market_of(name), now_ns())
        self.member = Member(self.served, ACCOUNT, BALANCES, lambda one: self.refuse(one.code))
        self.served.start_flow(speed, OPENING_PRICES)
        self.opened_ns = now_ns()
        self.rows = Renderer(has_agents, self.served.clock, lambda: credentials.wallet, self.trade_us, MARKET_IDS)
        self.address_window = RequestWindow(limits[0], NS_PER_S)
        self.wallet_window = RequestWindow(limits[1], MINUTE_NS)
        self.halves: defaultdict[str, dict[bool, Fill]] = defaultdict(dict)
        """The member's fills of a trade; the taker's under True."""
        self.candles = Candles(self.served.exchange)
        self._newest_ns: dict[str, int] = {}
        self._trades_ns: dict[str, int] = {}
        self.signatures: dict[str, str] = {}
        """By order: what its action was signed with."""
        self.transfers: dict[str, Transfer] = {}
        self._messages = UsedOnce(2 * STAMP_AGE_MS_MAX * NS_PER_MS)
        self.served.listen(self._note)
        self.served.listen(self.candles.note)

    def report(self) -> dict[str, Any]:
        """The neutral words, and beside them what does not add up, and what was refused."""
        return truth(self.served) | {
            "problems": problems(self.served.exchange),
            "refused_signatures": self.served.observed.refused_signatures,
            "rate_limited": self.served.observed.rate_limited,
            "faults_struck": dict(self.served.faults.struck),
        }

    def refuse(self, what: str, text: str = "", headers: Mapping[str, str] | None = None) -> Refusal:
        """The venue's refusal of this name (`words.REFUSALS`)."""
        return refusal(what, has_codes=self.has_agents, text=text, headers=headers)

    def halves_of(self, trade_id: str) -> Mapping[bool, Fill]:
        """The member's fills of a trade, none for others' trades."""
        return self.halves.get(trade_id, {})

    def trade_us(self, trade_id: str, ns: int) -> int:
        """When a trade was, in microseconds: no two of a market share one (vendor's connector). `ns` is for those that
        are no longer kept."""
        return self.served.clock.us(self._trades_ns.get(trade_id, ns))

    def market(self, ticker: str, *, is_body: bool = False) -> MarketSpec:
        """The market of a name as paths and queries have it ("BTC_USDC"); bodies of B write "BTC/USDC"."""
        name = ticker.replace("/", "_") if is_body and self.has_agents else ticker
        if is_body and self.has_agents and "_" in ticker:
            raise self.refuse("market_not_found")
        return self.member.market(name)

    def check_action(self, fields: Mapping[str, Any], signature: str, now_ns: int, *, by_wallet: bool = False) -> None:
        """Let an action pass that the wallet (dialect A, or `by_wallet`) or an agent has signed, once within five
        minutes. Raises `Refusal`."""
        if not signature or "timestamp" not in fields:
            raise self.refuse("missing")
        if by_wallet or not self.has_agents:
            is_valid = is_by_wallet(fields, signature, self.credentials.wallet)
        else:
            agent = self.credentials.agents.get(fields.get("agent_index", -1))
            is_valid = agent is not None and is_by_agent(fields, signature, agent)
        if not is_valid:
            self.served.observed.refused_signatures += 1
            raise self.refuse("bad_action")
        self._check_stamp(fields.get("timestamp"), now_ns)
        if not self._messages.take(canonical(fields), now_ns):
            self.served.observed.refused_signatures += 1
            raise self.refuse("replayed")

    def check_key(self, arrival: Arrival, body: Mapping[str, Any]) -> None:
        """Let a request pass that one of the account's API keys has signed. Raises `Refusal`."""
        key, signature, stamp = (arrival.headers.get(f"x-api-{name}", "") for name in ("key", "signature", "timestamp"))
        secret = self.credentials.api_keys.get(key, "")
        texts = hmac_texts(arrival, body, stamp, is_apart=self.has_agents)
        if not secret or not any(hmac_is_valid(secret.encode(), one, signature) for one in texts):
            raise self.refuse("bad_key")
        self._check_stamp(
            int(stamp) if stamp.isascii() and stamp.isdigit() and len(stamp) < 20 else None, arrival.now_ns
        )

    def _check_stamp(self, stamp_ms: object, now_ns: int) -> None:
        """A is strict about the future (vendor's page); B takes five minutes of it, too (vendor's connector)."""
        age_ms_min = -STAMP_AGE_MS_MAX if self.has_agents else 0
        age_ms = self.served.clock.ms(now_ns) - stamp_ms if type(stamp_ms) is int else None
        if age_ms is None or not age_ms_min <= age_ms <= STAMP_AGE_MS_MAX:
            self.served.observed.refused_signatures += 1
            raise self.refuse("stale_time")

    def _note(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, FillEvent):
                self.halves[event.fill.trade_id][event.fill.is_taker] = event.fill
            elif isinstance(event, TradePrint):
                ns = max(event.ns, self._newest_ns.get(event.market_id, 0) + NS_PER_US)
                self._newest_ns[event.market_id] = self._trades_ns[event.trade_id] = ns
                if len(self._trades_ns) > TRADES_KEPT:
                    del self._trades_ns[next(iter(self._trades_ns))]


@dataclass(frozen=True)
class Call:
    """A request that may be answered: `body` is its JSON object, empty where it has none."""

    venue: KalqixVenue
    arrival: Arrival
    body: Mapping[str, Any]

    @property
    def now_ns(self) -> int:
        """Engine time of its arrival."""
        return self.arrival.now_ns

    def text(self, name: str) -> str:
        """A text of the body that must be there. Raises `Refusal`."""
        value = self.body.get(name)
        if not isinstance(value, str) or not value:
            raise self.venue.refuse("missing")
        return value

    def number(self, name: str, default: int | None = None) -> int:
        """A whole number of the body, which must be there without a default. Raises `Refusal`."""
        value = self.body.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.venue.refuse("missing")
        return value

    def query_number(self, name: str, default: int | None = None) -> int:
        """A whole number of the query, which must be there without a default. Raises `Refusal`."""
        text = self.arrival.query.get(name, "")
        if not text and default is not None:
            return default
        if not text.isascii() or not text.isdigit() or len(text) > 15:
            raise self.venue.refuse("missing")
        return int(text)


def admit(venue: KalqixVenue, arrival: Arrival, route: Route[Call]) -> Call:
    """Count a request, and check its key where its route has a scope. Raises `Refusal`."""
    _count(venue, venue.address_window, arrival)
    body = _body_of(venue, arrival)
    if route.scope is not None:
        venue.check_key(arrival, body)
        _count(venue, venue.wallet_window, arrival)
    return Call(venue, arrival, body)


def _count(venue: KalqixVenue, window: RequestWindow, arrival: Arrival) -> None:
    if not window.take(1, arrival.now_ns):
        raise venue.refuse("too_fast", headers={"Retry-After": str(window.resets_s(arrival.now_ns))})


def _body_of(venue: KalqixVenue, arrival: Arrival) -> Mapping[str, Any]:
    try:
        found = msgspec.json.decode(arrival.raw or b"{}")
    except NOT_JSON:
        found = None
    if not isinstance(found, dict):
        raise venue.refuse("missing")
    return found
