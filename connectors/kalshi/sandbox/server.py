"""The sandbox as a running server: one port for REST, stream and admin, one timer for flow and the engine's clock."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec
from aiohttp import web
from cryptography.hazmat.primitives import serialization

from connectors.kalshi.sandbox import auth, errors
from connectors.kalshi.sandbox.buckets import TIERS
from connectors.kalshi.sandbox.catalog import Catalog
from connectors.kalshi.sandbox.listings import RULES, Schedule, generate, generate_next
from connectors.kalshi.sandbox.rest.call import REST_PREFIX
from connectors.kalshi.sandbox.rest.server import RestServer, signing_key
from connectors.kalshi.sandbox.stream.channels import publications
from connectors.kalshi.sandbox.stream.session import HEARTBEAT_S, QUEUE_FRAMES_MAX, STREAM_PATH, Session
from connectors.kalshi.sandbox.venue import Venue
from connectors.kalshi.sandbox.wire import MONEY_ONE, stable_uuid
from connectors.sandbox.engine.events import Event
from connectors.sandbox.engine.model import NS_PER_S
from connectors.sandbox.seeding import seeded
from connectors.sandbox.serving.admin import ADMIN_PREFIX, Admin
from connectors.sandbox.serving.standing_faults import StandingFaults
from connectors.sandbox.serving.venue import ServedVenue

# Between two runs of flow, engine and fault plan: expiries and closes are at most this late.
TIMER_S = 0.02
SHUTDOWN_S = 1.0
DEPOSIT = 10_000 * MONEY_ONE
MESSAGE_BYTES_MAX = 4 * 1024 * 1024
SHORT_LIVED_STAGGER_S = 5


@dataclass(frozen=True)
class SandboxOptions:
    """How to run a sandbox. `port` 0 takes a free one; `speed` 0 stops the order flow.

    `close_after_s` makes markets close (and settle soon after) that many seconds after the start; None keeps them
    open for a day. `roll_every_s` lists another market every so many seconds, each open until the next one; None lists
    none. `deposit` is the member's cash in 10^-6 dollars. `removed_members` writes markets with the members that the
    venue has dropped, for clients that still require them. `read_lag_ms` is how far reads of own orders, fills and
    positions lag writes. `heartbeat_s` is the time between the pings of a stream, `queue_frames_max` how many frames a
    slow stream client may leave unread.
    """

    directory: Path
    port: int = 0
    seed: int = 1
    markets: int = 4
    speed: float = 1.0
    tier: str = "basic"
    close_after_s: int | None = None
    roll_every_s: int | None = None
    deposit: int = DEPOSIT
    removed_members: bool = False
    read_lag_ms: int = 0
    heartbeat_s: float = HEARTBEAT_S
    queue_frames_max: int = QUEUE_FRAMES_MAX
    host: str = "127.0.0.1"


@dataclass(frozen=True)
class KalshiSandboxInfo:
    """The addresses and keys of a running sandbox; printed and written as JSON when the server is ready.

    The fields are the JSON's members, so their names are a format that clients read.
    """

    rest_url: str
    ws_url: str
    admin_url: str
    key_id: str
    private_key_path: str
    ed25519_key_id: str
    ed25519_private_key_path: str
    ready: bool = True
    venue: str = "kalshi"

    def as_json(self) -> str:
        """The one-line JSON message that the server is ready, without a line end."""
        return msgspec.json.encode({"ready": self.ready, "venue": self.venue, **asdict(self)}).decode()


class KalshiSandbox:
    """A local Kalshi. Call `start` once, then `stop`; both on the same event loop.

    `now_ns` reads wall time in nanoseconds since the epoch. Raises `ValueError` for an unknown tier, and for a number
    of markets, a speed or a roll out of range.
    """

    def __init__(self, options: SandboxOptions, *, now_ns: Callable[[], int] = time.time_ns) -> None:
        if options.tier not in TIERS:
            raise ValueError(f"tier is {options.tier!r}; use one of {', '.join(TIERS)}")
        if options.roll_every_s is not None and options.roll_every_s < 1:
            raise ValueError(f"roll-every is {options.roll_every_s}; give 1 s or more")
        self._options = options
        self._now_ns = now_ns
        self._keys: tuple[auth.ApiKey, ...] = ()
        self._sessions: set[Session] = set()
        self._runner: web.AppRunner | None = None
        self._timer: asyncio.Task[None] | None = None
        self._fresh_venue()

    @property
    def venue(self) -> Venue:
        """The current venue; a reset replaces it."""
        return self._venue

    async def start(self) -> KalshiSandboxInfo:
        """Make or load the keys, open the port, start the timer of flow and engine.

        Raises `OSError` when the port is taken or the directory cannot be written, `ValueError` when a key file is not
        usable.
        """
        directory = self._options.directory
        directory.mkdir(parents=True, exist_ok=True)
        rsa_key, rsa_path = _load_or_make(directory / "kalshi-rsa.pem", "rsa")
        ed_key, ed_path = _load_or_make(directory / "kalshi-ed25519.pem", "ed25519")
        self._keys = (rsa_key, ed_key)
        self._register_keys()
        app = web.Application(client_max_size=MESSAGE_BYTES_MAX)
        app.router.add_get(STREAM_PATH, self._stream)
        Admin(lambda: self._venue, self).add_routes(app)
        RestServer(lambda: self._venue).add_routes(app)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=SHUTDOWN_S)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._options.host, self._options.port)
        await site.start()
        self._timer = asyncio.create_task(self._run_timer())
        host, port = self._runner.addresses[0][:2]
        info = KalshiSandboxInfo(
            rest_url=f"http://{host}:{port}{REST_PREFIX}",
            ws_url=f"ws://{host}:{port}{STREAM_PATH}",
            admin_url=f"http://{host}:{port}{ADMIN_PREFIX}",
            key_id=rsa_key.key_id,
            private_key_path=str(rsa_path),
            ed25519_key_id=ed_key.key_id,
            ed25519_private_key_path=str(ed_path),
        )
        (directory / "sandbox.json").write_text(info.as_json() + "\n", encoding="utf-8")
        return info

    async def stop(self) -> None:
        """Cut all connections, close the port and end the timer. Raises what ended the timer, should it have failed."""
        for session in list(self._sessions):
            session.cut()
        if self._runner is not None:
            await self._runner.cleanup()
        if self._timer is not None:
            self._timer.cancel()
            await asyncio.gather(self._timer, return_exceptions=True)
            if not self._timer.cancelled() and (failure := self._timer.exception()) is not None:
                raise failure

    async def failed(self) -> None:
        """Wait until the timer fails, and raise its error. Before `start` it returns at once."""
        if self._timer is not None:
            await asyncio.shield(self._timer)

    # What the administrator may do (`admin.Controls`)

    def faults_changed(self) -> None:
        """Bring the venue in line with its fault plan now, without waiting for the timer."""
        self._standing.apply()
        for session in self._sessions:
            session.check_faults()

    def end_faults(self) -> None:
        """End every fault and every silence that one has begun."""
        self._venue.faults.clear()
        for session in self._sessions:
            session.end_silence()
        self.faults_changed()

    def reset(self) -> None:
        """Start over: a fresh venue under the same seed and keys; streams are cut."""
        for session in list(self._sessions):
            session.cut()
        self._fresh_venue()
        self._register_keys()

    def _fresh_venue(self) -> None:
        options = self._options
        now_ns = self._now_ns()
        served = ServedVenue(seed=options.seed, now_ns=self._now_ns, rules=RULES)
        exchange = served.exchange
        schedule = Schedule()
        if options.close_after_s is not None:
            schedule = Schedule(close_after_s=options.close_after_s, stagger_s=SHORT_LIVED_STAGGER_S)
        listings = generate(seeded(options.seed, "markets"), now_ns=now_ns, count=options.markets, schedule=schedule)
        for listing in listings.markets:
            exchange.add_market(listing.spec, now_ns)
        self._rolling = seeded(options.seed, "rolling")
        self._next_listing_ns = now_ns if options.roll_every_s else sys.maxsize
        # Nobody is connected yet: the events of listing are not for any client.
        exchange.drain()
        self._venue = Venue(served, Catalog(listings), tier=TIERS[options.tier])
        self._venue.markets.removed_members = options.removed_members
        self._venue.open_account(0, {"USD": options.deposit})
        served.listen(self._publish)
        self._standing = StandingFaults(served, read_lag_ms=options.read_lag_ms)
        opening = {listing.spec.market_id: listing.opening_price for listing in listings.markets}
        served.start_flow(options.speed, opening)

    def _register_keys(self) -> None:
        for key in self._keys:
            self._venue.keys.add(key)

    def _publish(self, events: list[Event]) -> None:
        for publication in list(publications(events, self._venue)):
            for session in self._sessions:
                session.publish(publication)

    async def _run_timer(self) -> None:
        """Apply the fault plan, let the flow act and the engine's time pass, until cancelled."""
        while True:
            await asyncio.sleep(TIMER_S)
            now_ns = self._now_ns()
            self._standing.apply()
            self._list_due(now_ns)
            self._venue.served.step(now_ns)

    def _list_due(self, now_ns: int) -> None:
        """List the next market of the rolling series when the last one closes."""
        period_s = self._options.roll_every_s
        if period_s is None or now_ns < self._next_listing_ns:
            return
        self._next_listing_ns = now_ns + period_s * NS_PER_S
        listings = generate_next(self._rolling, now_ns=now_ns, period_s=period_s)
        self._venue.catalog.add(listings)
        self._venue.exchange.add_market(listings.markets[0].spec, now_ns)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        """Upgrade a signed request and serve its session."""
        venue = self._venue
        venue.observed.requests[f"GET {STREAM_PATH}"] += 1
        try:
            key = signing_key(venue, request, now_ns=venue.clock.engine_ns())
        except errors.VenueRefusal as refusal:
            return web.json_response(refusal.body, status=refusal.status)
        socket = web.WebSocketResponse(max_msg_size=MESSAGE_BYTES_MAX, timeout=SHUTDOWN_S)
        await socket.prepare(request)
        accounts = None if key.subaccount is None else frozenset({venue.account(key.subaccount).account_id})
        session = Session(
            socket,
            venue,
            accounts=accounts,
            abort=_abort(request),
            heartbeat_s=self._options.heartbeat_s,
            queue_frames_max=self._options.queue_frames_max,
        )
        venue.observed.connections += 1
        self._sessions.add(session)
        try:
            await session.run()
        finally:
            self._sessions.discard(session)
        return socket


def _abort(request: web.Request) -> Callable[[], None]:
    def abort() -> None:
        if request.transport is not None:
            request.transport.abort()

    return abort


def _load_or_make(path: Path, key_type: str) -> tuple[auth.ApiKey, Path]:
    """The key of an earlier run in the same directory, else a fresh one; its id follows from the public key."""
    if not path.exists():
        auth.write_private_key(path, auth.generate_private_key(key_type))
    # The long check of an RSA key is left out: it takes long, and the file is the sandbox's own.
    private = serialization.load_pem_private_key(path.read_bytes(), password=None, unsafe_skip_rsa_key_validation=True)
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    loaded = auth.load_public_key(public.decode())
    if loaded is None:
        raise ValueError(f"{path} holds neither an RSA nor an Ed25519 key; remove it to have a fresh one made")
    return auth.ApiKey(stable_uuid("key", public.decode()), f"sandbox {key_type}", loaded), path
