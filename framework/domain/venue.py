"""What a venue plugin gives the daemon for one account: a connector (streams in) and its gateway (requests out).

And what it gives operators, where its venue has it: what the account's key may do (`StatesKeyRights`), the account's
keys (`KeyAdmin`), and its funds (`FundMover`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Protocol, runtime_checkable

import msgspec

from framework.domain.account_events import Fill, OrderSnapshot, PositionReport
from framework.domain.events import Event
from framework.domain.instruments import InstrumentId
from framework.domain.orders import Order
from framework.domain.verdicts import Approved, Signed

LastWord = Callable[[], str | None]
"""Asked when all waiting is over and the first byte would leave: why it must not after all, or None."""


def nothing_against() -> str | None:
    """The `LastWord` that never objects: the request leaves as soon as a connection is there."""
    return None


IsClaimed = Callable[[str], bool]
"""Whether an order of ours has this venue order id already."""


def nothing_claimed(_venue_order_id: str, /) -> bool:
    """The `IsClaimed` where no order is looked up by its content."""
    return False


class UnreadableRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of one of the account's lists that can't be read, alone neither: what it states is not known.

    `listing` is "orders", "fills" or "positions". `instrument` and `subject` (the venue's id of the order or the fill)
    are empty where the row does not show them. `detail` says which field is wrong and how.
    """

    listing: str
    instrument: InstrumentId
    subject: str
    detail: str


@runtime_checkable
class LeavesRowsOut(Protocol):
    """A gateway whose lists leave out rows that it can't read, and that says which: they must not count as absent. The
    lists of a gateway without it are whole."""

    @property
    def unreadable_rows(self) -> tuple[UnreadableRow, ...]:
        """The rows that the last read of each list left out."""
        ...


class Gateway(Protocol):
    """A venue's way out and its look-ups, for one account.

    `sign` is pure but for the clock; `send` does the I/O. Errors follow `framework.domain.errors`.
    """

    def sign(self, approved: Approved, order: Order | None, /) -> Signed:
        """Build and sign the request with the time of now. `order` is what is known of the order that is changed or
        ended, None for a new one."""
        ...

    async def send(self, signed: Signed, /, *, last_word: LastWord = nothing_against) -> tuple[Event, ...]:
        """Send and translate the answer into events. A refusal by the venue is an event, not an error. An answer that
        leaves open what traded gives no event: the order keeps its exposure and is looked up. Where the venue does not
        list every fill, the answer to a cancel is CANCEL_PENDING unless it states what was filled: a look-up shows the
        end. A request may wait for a connection: `last_word` decides after that whether it leaves; a reason raises
        `Retryable`.

        Raises `Retryable` when it proved to have had no effect (nothing left; or, with `was_answered`, the venue
        said so), `OutcomeUnknown` when it may have had one, `AccountRefused` when the venue does not take the
        account (key refused; nothing was done).
        """
        ...

    async def find_order(self, order: Order, /, *, is_claimed: IsClaimed) -> OrderSnapshot | None:
        """Look an order up by its client id, its venue id, or, where a venue keeps no client id, by what was sent
        (`order.sent_as`) or by content and time. None: the venue shows no such order. Raises like `send`, and
        `RefusedByVenue` when the venue refuses to say.

        By content and time means: the same instrument, side, price, size and terms, taken by the venue not before
        `order.created_ns` (give or take what the clocks may differ), and not `is_claimed` by another order of ours,
        so that two equal orders never match one. A gateway remembers nothing for it, and a restart changes nothing.
        When several fit and nothing tells them apart, raise `Retryable`; never guess. The snapshot carries our client
        id.

        `filled` is the least that the venue states: where it says only that a part is filled, one lot.
        """
        ...

    async def open_orders(self) -> tuple[OrderSnapshot, ...] | None:
        """Every order of the account that is open at the venue, ours or not. None where they can't be listed
        (`VenueTerms.open_orders`). Raises like `find_order`."""
        ...

    async def fills(self, since_ns: int, /) -> tuple[Fill, ...] | None:
        """Every fill of the account since a venue time in nanoseconds, oldest first; a few older ones may come along.
        None where fills can't be listed (`FillListing.BY_ORDER`). Raises like `find_order`."""
        ...

    async def positions(self) -> tuple[PositionReport, ...] | None:
        """Every position of the account that is not flat; one that is missing is flat. None where they can't be read
        (`PositionListing.NONE`). Raises like `find_order`."""
        ...

    @property
    def read_lag_ms(self) -> int:
        """How many milliseconds the venue's reads may lag behind its writes: until then absence proves nothing."""
        ...


def left_out(gateway: Gateway, listing: str) -> tuple[UnreadableRow, ...]:
    """The rows that a gateway's last read of "orders", "fills" or "positions" left out."""
    rows = gateway.unreadable_rows if isinstance(gateway, LeavesRowsOut) else ()
    return tuple(row for row in rows if row.listing == listing)


class Publish(Protocol):
    """Takes an event into the kernel; the event is handled when this returns.

    A connector that hands on what it has received this very moment also says when that was, as wall and as monotonic
    nanoseconds; without them the kernel reads the clocks.
    """

    def __call__(self, event: Event, now_ns: int = 0, monotonic_ns: int = 0, /) -> None: ...


class Connector(Protocol):
    """One venue account: its streams in, its gateway out.

    Call order: `start` once (loads instruments and limits, publishes them), `run` until cancelled (streams,
    reconnects by itself), `close`.
    """

    @property
    def venue(self) -> str:
        """The name of the account in the configuration, `[venues.NAME]`: the first part of its instruments' ids."""
        ...

    @property
    def gateway(self) -> Gateway:
        """The way out for requests and look-ups; the same object during the whole life of the connector."""
        ...

    @property
    def account(self) -> str:
        """Which account of which venue this is, whatever its name here: two daemons must not share one. No secret."""
        ...

    @property
    def is_loopback(self) -> bool:
        """Whether every address it talks to is on this machine."""
        ...

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What is assumed of the venue without proof: listed before live use."""
        ...

    async def start(self, publish: Publish, /) -> None:
        """Load instruments and rate limits and publish them as events. May be called again after it failed.

        Raises `Retryable` or `OutcomeUnknown` when the venue does not answer (the daemon tries again), `RefusedByVenue`
        when it refuses, `AccountRefused` when the account can't be used, `ConfigurationError` for what can't be used of
        the settings: then this venue is tried again each minute, and the others go on.
        """
        ...

    async def run(self) -> None:
        """Stream until cancelled. Never returns by itself but by `AccountRefused`, after which `start` and `run` are
        called again, or by `Fatal`, which ends the daemon."""
        ...

    def resync(self, instrument: InstrumentId, /) -> None:
        """Get the instrument's whole book anew: it came to contradict itself, and only a snapshot proves it again.

        Returns at once; the snapshot comes as an event. Does nothing while one is under way, while the stream is
        down, or when asked again within a second.
        """
        ...

    def reread(self, instrument: InstrumentId, /) -> None:
        """Read the instrument again: its position is gone at the venue, or it is one of an earlier run that `start` did
        not define, so it may have been settled without a message.

        Returns at once; what is new comes as events. Does nothing for one of another venue, or while it is under way.
        """
        ...

    async def close(self) -> None:
        """Close every connection and give back what they hold; safe after a `start` that failed."""
        ...


class Right(Enum):
    """One thing that a key may do."""

    READ = "read"
    TRADE = "trade"
    WITHDRAW = "withdraw"


class KeyRights(msgspec.Struct, frozen=True):
    """What the venue says that the key may do, and its own words for it. `has_ip_list`: whether the key is taken from
    listed addresses only; None where the venue has no such lists, or does not say."""

    rights: frozenset[Right]
    scopes: tuple[str, ...]
    has_ip_list: bool | None = None


class UnknownRights(msgspec.Struct, frozen=True):
    """The venue does not say what the key may do. `declared` is what the settings say of it, values of `Right`; empty
    for nothing."""

    declared: tuple[str, ...] = ()


class StatesKeyRights(Protocol):
    """A connector that knows how to ask what the account's key may do. Of one without it that is unknown."""

    async def key_rights(self) -> KeyRights | UnknownRights:
        """Ask the venue, after `start`. Raises `Retryable` when it can't be reached, `AccountRefused` for a refused
        key."""
        ...


def rights_in(rights: KeyRights | UnknownRights) -> frozenset[Right] | None:
    """What the key may do, as the venue says it, else as the settings declare it; None where neither does."""
    if isinstance(rights, KeyRights):
        return rights.rights
    return frozenset(map(Right, rights.declared)) if rights.declared else None


def notes_on(rights: KeyRights | UnknownRights) -> tuple[str, ...]:
    """What an operator should know of a key before it trades, a sentence each; none when all is well.

    A key needs to trade, must not withdraw, and should be taken from listed addresses only: what a thief of the key can
    do is what the key may do, from where it may.
    """
    known = rights_in(rights)
    if known is None:
        return (
            "the venue does not say what the key may do: make sure that it may trade, can't withdraw, and is taken "
            "from your addresses only",
        )
    named = rights.scopes if isinstance(rights, KeyRights) else rights.declared
    scopes = ", ".join(named) or "none"
    notes = []
    if Right.TRADE not in known:
        notes.append(f"the key may not trade, its scopes are {scopes}: orders would be refused")
    if Right.WITHDRAW in known:
        notes.append(f"the key may withdraw, its scopes are {scopes}: use one that can't")
    if isinstance(rights, KeyRights) and rights.has_ip_list is False:
        notes.append("the key has no list of addresses: whoever has it can use it from anywhere; give it one")
    return tuple(notes)


class KeyVerb(Enum):
    """What a venue's API may do with keys."""

    LIST = "list"
    CREATE = "create"
    """Make one: of a public key that is sent, or with a secret that the venue makes (`KeyTerms.takes_public_key`)."""
    GENERATE = "generate"
    """Make a pair of keys at the venue, which keeps the public half: where `CREATE` takes a public key."""
    UPDATE = "update"
    REVOKE = "revoke"


class KeyTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What a venue takes of its keys, so that nothing is sent that it would refuse.

    `scopes` are the venue's words for what a key may do, with their meanings, none where that can't be chosen;
    `label_chars_max` is 0 where keys have no label. `key_types` are those of a pair, the default first. `keys_max` is
    how many may be active, 0 where that is not documented. `assumptions` are what is assumed of the venue without
    proof, a sentence each, by the verb or the option for which it is assumed ("create", "expires"): it is said whenever
    that is used.
    """

    verbs: frozenset[KeyVerb]
    scopes: Mapping[str, frozenset[Right]]
    label_chars_max: int
    key_types: tuple[str, ...] = ()
    keys_max: int = 0
    takes_public_key: bool = False
    takes_ip_list: bool = False
    takes_networks: bool = True
    """Whether its list of addresses may hold networks."""
    takes_expiry: bool = False
    takes_subaccount: bool = False
    assumptions: Mapping[str, str] = {}


class KeyForm(msgspec.Struct, frozen=True, kw_only=True):
    """What a new key is to be, or what is to change of a key; None is left out of the request.

    `ip_list` are addresses or networks, `expires_ns` wall nanoseconds, `public_key` is PEM.
    """

    label: str | None = None
    scopes: tuple[str, ...] | None = None
    ip_list: tuple[str, ...] | None = None
    expires_ns: int | None = None
    key_type: str | None = None
    public_key: str | None = None
    subaccount: int | None = None


class ListedKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key of the account, as the venue lists it. `id` is what it is revoked by; `key` is what a client names itself
    by, where that differs, as much of it as the venue shows. `ip_list` is None where the venue has none. Times are wall
    nanoseconds, 0 for none. `is_own`: the one of the configuration."""

    id: str
    label: str
    scopes: tuple[str, ...] = ()
    key: str = ""
    ip_list: tuple[str, ...] | None = None
    subaccount: int | None = None
    is_active: bool = True
    is_own: bool = False
    created_ns: int = 0
    used_ns: int = 0
    expires_ns: int = 0


class MadeKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key that was made. `secret` is shown by the venue this once; empty where the secret was ours all along. Its
    repr does not show it."""

    id: str
    secret: str
    key: str = ""

    def __repr__(self) -> str:
        return f"<MadeKey {self.id}>"


class KeyAdmin(Protocol):
    """The keys of one account, where the venue has an API for them.

    A plugin's `key_admin(name, settings, *, clock, rng)` makes it, with `proxy` and `session_path` (the file of a
    session token, None for none) as further arguments where it has use for them; it may raise `NotSupported` to explain
    that the venue has no such API, and raises `ConfigurationError` for a secret that can't be used. A verb outside
    `terms.verbs` is never called, and a form was checked against `terms`.

    All verbs raise `Retryable` when nothing was done, `OutcomeUnknown` when something may have been (a key may exist of
    which nobody has the secret), `RefusedByVenue` with a message that says why, and `AccountRefused` for a key or a
    session that the venue does not take. A write is sent once.
    """

    @property
    def venue(self) -> str:
        """The name of the account in the configuration."""
        ...

    @property
    def is_loopback(self) -> bool:
        """Whether every address it talks to is on this machine."""
        ...

    @property
    def terms(self) -> KeyTerms:
        """What the venue takes."""
        ...

    async def list_keys(self) -> tuple[ListedKey, ...]:
        """Every key of the account, in the venue's order. Called before any other verb."""
        ...

    async def create_key(self, form: KeyForm, /) -> MadeKey:
        """Make a key: `form.public_key` is given where the venue takes one."""
        ...

    async def generate_key(self, form: KeyForm, /) -> MadeKey:
        """Have the venue make a pair of keys."""
        ...

    async def update_key(self, key_id: str, form: KeyForm, /) -> None:
        """Change what `form` gives of a key."""
        ...

    async def revoke_key(self, key_id: str, /) -> None:
        """End a key for good."""
        ...

    async def close(self) -> None:
        """Close every connection that it has opened."""
        ...


class FundVerb(Enum):
    """Ways in which funds leave an account by its API."""

    TRANSFER = "transfer"
    """To another account of the venue."""
    WITHDRAW = "withdraw"
    """Out of the venue."""


class FundMove(msgspec.Struct, frozen=True, kw_only=True):
    """What is to leave: `amount` is a decimal in units of `asset`. `to` is the account that a transfer goes to,
    `chain_id` the chain of a withdrawal, 0 where it has none."""

    verb: FundVerb
    asset: str
    amount: str
    to: str = ""
    chain_id: int = 0


class FundMoveState(msgspec.Struct, frozen=True, kw_only=True):
    """What has become of a move. `id` is the venue's, `status` its word, `is_final` that nothing more is to come;
    `details` are (name, value) pairs to be shown, as what is to be claimed on a chain."""

    id: str
    status: str
    is_final: bool
    details: tuple[tuple[str, str], ...] = ()


class SignedMove(msgspec.Struct, frozen=True, kw_only=True):
    """A move that is signed and has not left. `wire` is the mover's own; `digest` is what the move can be found again
    by when its answer is lost, empty where it can't."""

    move: FundMove
    wire: object
    digest: str = ""


class FundMover(Protocol):
    """Moves funds out of one account, on an operator's word alone: no strategy reaches it.

    A plugin's `fund_mover(name, settings, *, clock, rng)` makes it, with `proxy` and `turn` as `create` has them. It is
    made for one move and closed after it, so that nothing else of the connector can sign one. All that ask raise like
    `KeyAdmin`'s verbs. Call order: `sign`, which the journal records, then `send` at once.
    """

    @property
    def verbs(self) -> frozenset[FundVerb]:
        """What the venue offers of it."""
        ...

    async def sign(self, move: FundMove, /) -> SignedMove:
        """Sign with the time of now; the venue's clock and the balance may be read for that. Raises
        `ConfigurationError`, naming the option ("--to"), or `RefusedByVenue` for a move that the venue would not take.
        """
        ...

    async def send(self, signed: SignedMove, /) -> FundMoveState:
        """Send once what was signed here, and say what the answer states of it."""
        ...

    async def find(self, verb: FundVerb, digest: str, /) -> FundMoveState | None:
        """What the venue shows of the move with this digest; None where it shows none, or can't be asked by it."""
        ...

    async def look_up(self, verb: FundVerb, move_id: str, /) -> FundMoveState:
        """What has become of the move with the venue's id; asked until it is final."""
        ...

    async def close(self) -> None:
        """Close every connection that it has opened."""
        ...
