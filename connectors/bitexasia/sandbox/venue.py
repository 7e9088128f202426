"""A local BitExAsia as one object: its markets, its member with three kinds of balances, and its keys.

A key has a scope, a list of allowed addresses, a tolerance for its clock, and a window of weighted requests of its own.
Signatures are verified here with code of this sandbox alone. How a request is signed is an *assumption* (`is_signed`).
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from connectors.bitexasia.sandbox.answers import ErrorAnswer, ErrorDetail
from connectors.sandbox.engine.model import NS_PER_MS, NS_PER_S, FeeModel, MarketSpec, PriceBand
from connectors.sandbox.serving.candles import Candles
from connectors.sandbox.serving.command import option
from connectors.sandbox.serving.faults import COMMON_KINDS, FAULT_KINDS
from connectors.sandbox.serving.keys import UsedOnce, kept_secret
from connectors.sandbox.serving.limits import RequestWindow
from connectors.sandbox.serving.rest import Arrival, Refusal
from connectors.sandbox.serving.venue import ServedVenue

NAME = "bitexasia"
DIALECT = "v1"
Scope = Literal["read", "trade", "withdraw"]
SCOPES: tuple[Scope, ...] = ("read", "trade", "withdraw")
"""Each one includes those before it: read-only, trade-only, trade and withdraw."""

PERIOD_NS = 60 * NS_PER_S
DRIFT_MS = 30_000
STRICT_DRIFT_MS = 1_000
DEPTH = 100
FOREIGN_ADDRESS = "203.0.113.7"
"""An address of a documentation network: no request comes from there."""

KINDS = COMMON_KINDS | {kind: FAULT_KINDS[kind] for kind in ("replay_refusal", "ip_refused")}
FEES = FeeModel(formula="notional", taker_ppm=2_000, maker_ppm=1_000, rounding="up")
"""Fees in the quote asset; assumed, the venue publishes none."""

OPENING = {"BTC-USD": 6_300_000, "ETH-USD": 250_000}
SPOT, MARGIN, EARN = "spot", "margin", "earn"
BALANCES = {
    SPOT: {"USD": 2_000_000 * 10**4, "BTC": 50 * 10**2, "ETH": 500 * 10**2},
    MARGIN: {"USD": 25_000 * 10**4, "BTC": 10**2},
    EARN: {"USD": 40_000 * 10**4, "ETH": 32 * 10**2},
}
"""By product: only spot pays for orders."""

_NONCE = re.compile(r"[0-9A-Za-z_-]{8,64}").fullmatch
_STAMP = re.compile(r"[0-9]{13}", re.ASCII).fullmatch


class Key(NamedTuple):
    """One API key. `addresses` are those that may use it, none for any; `drift_ms` is how far its clock may be off."""

    secret: bytes
    scope: Scope
    drift_ms: int = DRIFT_MS
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True)
class BitExAsiaOptions:
    """The options of the command line."""

    directory: Path
    host: str = "127.0.0.1"
    port: int = 0
    seed: int = 1
    speed: float = 1.0
    read_lag_ms: int = 0
    dialect: str = option(DIALECT, "the generation of the API (default v1)", choices=(DIALECT,))
    limit: int = option(1_200, "weighted requests a minute that a key may send (default 1200)", metavar="N", least=1)
    depth: int = option(DEPTH, "levels of a book: 100, or 1000 of a verified account (default 100)", metavar="N")


def refusal(status: int, code: str, message: str = "", headers: Mapping[str, str] | None = None) -> Refusal:
    """A refusal in the venue's shape."""
    return Refusal(status, ErrorAnswer(ErrorDetail(code, message or code.replace("_", " "))), headers=headers)


def spot_market(pair: str) -> MarketSpec:
    """A pair with a tick of 0.01 and lots of 0.01 coins."""
    return MarketSpec(
        market_id=pair, kind="spot", price_decimals=2, size_decimals=2, bands=(PriceBand(1, 10**9, 1),), size_min=1,
        fees=FEES, cash_account="USD", base=pair.partition("-")[0],
    )  # fmt: skip


class BitExAsiaVenue:
    """The exchange, its `keys` by their ids, and what each key has used up. `placed` are the bodies of new orders by
    the member's ids: a repeated one is compared with the first."""

    def __init__(self, options: BitExAsiaOptions, keys: Mapping[str, Key], now_ns: Callable[[], int]) -> None:
        self.depth_max = options.depth
        self.served = ServedVenue(seed=options.seed, now_ns=now_ns, fault_kinds=KINDS)
        for pair in OPENING:
            self.served.exchange.add_market(spot_market(pair), now_ns())
        for product, balances in BALANCES.items():
            self.served.open_account(product, balances)
        self.served.start_flow(options.speed, OPENING)
        self.candles = Candles(self.served.exchange)
        self.served.listen(self.candles.note)
        self.placed: dict[str, Any] = {}
        self.keys = keys
        self._limit = options.limit
        self._windows: dict[str, RequestWindow] = {}
        self._nonces: dict[str, UsedOnce] = {}

    def report(self) -> dict[str, Any]:
        """Nothing beside the neutral words."""
        return {}

    def admit(self, arrival: Arrival, *, scope: Scope, weight: int) -> None:
        """Let a signed request pass, and draw its weight. Raises `Refusal`: for the key, the address, the signature,
        the time, the nonce, the rate, then the scope."""
        names = ("Key", "Timestamp", "Nonce", "Signature")
        name, stamp, nonce, signature = (arrival.headers.get(f"X-Api-{one}", "") for one in names)
        key = self.keys.get(name)
        if key is None:
            raise refusal(401, "unknown_key", "X-Api-Key is missing or not one of the venue's")
        if key.addresses and arrival.http.remote not in key.addresses:
            raise refusal(403, "ip_not_allowed", f"{arrival.http.remote} is not on the list of this key")
        if not is_signed(key.secret, arrival, stamp, nonce, signature):
            raise refusal(401, "bad_signature")
        if not _STAMP(stamp) or abs(int(stamp) - self.served.clock.ms(arrival.now_ns)) > key.drift_ms:
            raise refusal(401, "timestamp_out_of_range", f"more than {key.drift_ms} ms off the venue's clock")
        if not _NONCE(nonce):
            raise refusal(400, "invalid_request", "X-Api-Nonce must be 8 to 64 letters and digits")
        used = self._nonces.setdefault(name, UsedOnce(2 * key.drift_ms * NS_PER_MS))
        if not used.take(nonce, arrival.now_ns):
            raise refusal(401, "nonce_reused")
        window = self.window(arrival)
        if not window.take(weight, arrival.now_ns):
            retry = {"Retry-After": str(window.resets_s(arrival.now_ns))}
            raise refusal(429, "rate_limited", f"more than {window.limit} weighted requests a minute", retry)
        if SCOPES.index(scope) > SCOPES.index(key.scope):
            raise refusal(403, "scope", f"this key is {key.scope}, and {scope} is needed")

    def admit_public(self, arrival: Arrival, *, weight: int) -> None:
        """Let a request for market data pass: one that names a key must be signed and counts for the key, any other one
        counts for its address. Raises `Refusal`."""
        if "X-Api-Key" in arrival.headers:
            self.admit(arrival, scope="read", weight=weight)
        elif not self.window(arrival).take(weight, arrival.now_ns):
            raise refusal(
                429, "rate_limited", headers={"Retry-After": str(self.window(arrival).resets_s(arrival.now_ns))}
            )

    def window(self, arrival: Arrival) -> RequestWindow:
        """The window of requests that an arrival counts in: that of its key, else of its address."""
        name = arrival.headers.get("X-Api-Key", "")
        owner = f"key {name}" if name in self.keys else f"address {arrival.http.remote}"
        return self._windows.setdefault(owner, RequestWindow(self._limit, PERIOD_NS))


def is_signed(secret: bytes, arrival: Arrival, stamp: str, nonce: str, signature: str) -> bool:
    """Whether the signature is the HMAC-SHA256, in small hexadecimal digits, of method, path with query, body, time and
    nonce, each on a line of its own. The five inputs are documented; how they are joined is an *assumption*."""
    signed = hmac.new(secret, arrival.method.encode(), hashlib.sha256)
    for part in (arrival.path_and_query.encode(), arrival.raw, stamp.encode(), nonce.encode(errors="replace")):
        signed.update(b"\n" + part)
    return hmac.compare_digest(signed.hexdigest().encode(), signature.encode(errors="replace"))


def make_keys(directory: Path, keys: dict[str, Key]) -> dict[str, str]:
    """Register the keys of the member, with the secrets of an earlier run in the directory or fresh ones; the members
    of the ready line for them. Raises `OSError` when a secret can't be read or written."""
    ready: dict[str, str] = {"dialect": DIALECT}
    wanted: tuple[tuple[str, Scope, int, tuple[str, ...]], ...] = (
        ("", "trade", DRIFT_MS, ()),
        ("read_only_", "read", DRIFT_MS, ()),
        ("withdraw_", "withdraw", DRIFT_MS, ()),
        ("strict_", "trade", STRICT_DRIFT_MS, ()),
        ("elsewhere_", "trade", DRIFT_MS, (FOREIGN_ADDRESS,)),
    )
    for prefix, scope, drift_ms, addresses in wanted:
        name, path = f"bx-{prefix.strip('_') or 'trade'}", directory / f"{prefix}api.secret"
        secret = kept_secret(path, lambda: secrets.token_hex(32))
        keys[name] = Key(secret.encode(), scope, drift_ms, addresses)
        ready |= {f"{prefix}api_key": name, f"{prefix}api_secret_path": str(path)}
    return ready
