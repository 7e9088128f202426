"""The local Kalshi: its options, its markets and keys, and what it gives the frame that serves it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from connectors.kalshi.sandbox import auth
from connectors.kalshi.sandbox.buckets import TIERS
from connectors.kalshi.sandbox.listings import RULES, Schedule, combine, generate, generate_next
from connectors.kalshi.sandbox.stream.channels import publications
from connectors.kalshi.sandbox.stream.session import HEARTBEAT_S, Conversation, stream_face
from connectors.kalshi.sandbox.v1.generations import GENERATIONS
from connectors.kalshi.sandbox.venue import Venue
from connectors.kalshi.sandbox.wire import MONEY_ONE
from connectors.sandbox.engine.model import NS_PER_S
from connectors.sandbox.seeding import seeded, stable_uuid
from connectors.sandbox.serving.command import option
from connectors.sandbox.serving.faults import COMMON_KINDS, FAULT_KINDS
from connectors.sandbox.serving.public_keys import kept_public_key, public_pem
from connectors.sandbox.serving.server import Design, SandboxServer
from connectors.sandbox.serving.venue import ServedVenue
from connectors.sandbox.serving.websocket import QUEUE_FRAMES_MAX

DEPOSIT = 10_000 * MONEY_ONE
SHORT_LIVED_STAGGER_S = 5
KINDS = COMMON_KINDS | {"ip_refused": FAULT_KINDS["ip_refused"]}


@dataclass(frozen=True)
class SandboxOptions:
    """How to run a sandbox. `port` 0 takes a free one; `speed` 0 stops the order flow.

    `close_after_s` makes markets close (and settle soon after) that many seconds after the start; None keeps them
    open for a day. `roll_every_s` lists another market every so many seconds, each open until the next one. `deposit`
    is the member's cash in 10^-6 dollars. `heartbeat_s` is the time between the pings of a stream, `queue_frames_max`
    how many frames a slow stream client may leave unread.
    """

    directory: Path
    port: int = 0
    seed: int = 1
    markets: int = 4
    speed: float = 1.0
    dialect: str = option("current", "generation of the API (default current)", choices=list(GENERATIONS))
    tier: str = option("basic", "usage tier: rate limits (default basic)", choices=list(TIERS))
    close_after_s: int | None = option(
        None, "close and settle markets after S seconds", flag="--close-after", metavar="S"
    )
    roll_every_s: int | None = option(
        None, "list a market that closes after S seconds, again and again", flag="--roll-every", metavar="S"
    )
    multivariate: int = option(0, "also list a market of N legs, the first N markets (default none)", metavar="N")
    deposit: int = DEPOSIT
    removed_members: bool = option(
        False, "write markets with the members that the venue has dropped, for clients that still require them"
    )
    read_lag_ms: int = 0
    heartbeat_s: float = HEARTBEAT_S
    queue_frames_max: int = QUEUE_FRAMES_MAX
    host: str = "127.0.0.1"


@dataclass(frozen=True)
class KalshiSandboxInfo:
    """The ready line: the addresses and keys of a running sandbox. Its members are a format that clients read."""

    rest_url: str
    ws_url: str
    admin_url: str
    key_id: str
    private_key_path: str
    ed25519_key_id: str
    ed25519_private_key_path: str
    read_only_key_id: str
    dialect: str
    ready: bool = True
    venue: str = "kalshi"


class KalshiSandbox:
    """A local Kalshi. Call `start` once, then `stop`; both on the same event loop.

    `now_ns` reads wall time in nanoseconds since the epoch. Raises `ValueError` for an unknown tier, and for a number
    of markets, a speed or a roll out of range.
    """

    def __init__(self, options: SandboxOptions, *, now_ns: Callable[[], int] = time.time_ns) -> None:
        if options.dialect not in GENERATIONS:
            raise ValueError(f"dialect is {options.dialect!r}; use one of {', '.join(GENERATIONS)}")
        self._generation = generation = GENERATIONS[options.dialect]
        if options.tier not in generation.tiers:
            raise ValueError(f"tier is {options.tier!r}; use one of {', '.join(generation.tiers)}")
        if options.roll_every_s is not None and options.roll_every_s < 1:
            raise ValueError(f"roll-every is {options.roll_every_s}; give 1 s or more")
        self._options = options
        self._now_ns = now_ns
        self._keys: list[auth.ApiKey] = []
        stream = stream_face(
            options.heartbeat_s, options.queue_frames_max, shown=generation.frame, is_stamped=generation.is_stamped
        )
        design = Design("kalshi", self._fresh, self._make_keys, generation.rest, stream, publications, self._list_due)
        self._server: SandboxServer[Venue, Conversation] = SandboxServer(design, options, now_ns=now_ns)
        self.stop, self.failed, self.reset = self._server.stop, self._server.failed, self._server.reset

    @property
    def venue(self) -> Venue:
        """The current venue; a reset replaces it."""
        return self._server.venue

    @property
    def conversations(self) -> list[Conversation]:
        """The stream connections that are open now."""
        return self._server.conversations

    async def start(self) -> KalshiSandboxInfo:
        """Make or load the keys, open the port, start the timer of flow and engine.

        Raises `OSError` when the port is taken or the directory cannot be written, `ValueError` when a key file is not
        usable.
        """
        return KalshiSandboxInfo(**await self._server.start())

    def _make_keys(self, directory: Path) -> dict[str, str]:
        ready = {"dialect": self._options.dialect}
        self._keys = []
        for key_type, prefix in (("rsa", ""), ("ed25519", "ed25519_")):
            path = directory / f"kalshi-{key_type}.pem"
            public = kept_public_key(path, key_type)
            key = auth.ApiKey(stable_uuid("key", public_pem(public)), f"sandbox {key_type}", public)
            self._keys.append(key)
            ready |= {f"{prefix}key_id": key.key_id, f"{prefix}private_key_path": str(path)}
        # The Ed25519 key pair under another id, which may not trade.
        read_only = replace(key, key_id=stable_uuid("read-only", key.key_id), scopes=("read",))
        self._keys.append(read_only)
        ready["read_only_key_id"] = read_only.key_id
        self.venue.keys.add(*self._keys)
        return ready

    def _fresh(self) -> Venue:
        options, now_ns = self._options, self._now_ns()
        served = ServedVenue(seed=options.seed, now_ns=self._now_ns, fault_kinds=KINDS, rules=RULES)
        closes_s = options.close_after_s
        schedule = Schedule() if closes_s is None else Schedule(close_after_s=closes_s, stagger_s=SHORT_LIVED_STAGGER_S)
        rng = seeded(options.seed, "markets")
        listed = self._generation.listed
        batches = [listed(generate(rng, now_ns=now_ns, count=options.markets, schedule=schedule))]
        if options.multivariate:
            batches.append(listed(combine(rng, batches[0].markets[: options.multivariate], now_ns=now_ns)))
        self._rolling = seeded(options.seed, "rolling")
        self._next_listing_ns = now_ns if options.roll_every_s else sys.maxsize
        venue = Venue(served, self._generation.tiers[options.tier])
        for one in batches:
            venue.list_markets(one)
        venue.markets.removed_members = options.removed_members or self._generation.has_removed_members
        venue.open_subaccount({"USD": options.deposit})
        venue.keys.add(*self._keys)
        opened = [one for batch in batches for one in batch.markets]
        served.start_flow(options.speed, {one.spec.market_id: one.opening_price for one in opened})
        return venue

    def _list_due(self, venue: Venue, now_ns: int) -> None:
        """List the next market of the rolling series when the last one closes."""
        period_s = self._options.roll_every_s
        if period_s is None or now_ns < self._next_listing_ns:
            return
        self._next_listing_ns = now_ns + period_s * NS_PER_S
        listings = generate_next(self._rolling, now_ns=now_ns, period_s=period_s)
        venue.list_markets(self._generation.listed(listings))
