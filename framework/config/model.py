"""The configuration as frozen models: every table and key, its type, default and meaning.

`framework.config.layers.load` fills them from files, environment and command line; `tidegate show-config` prints
them. Settings of venues, strategies and checks stay plain tables here: the plugin's own model checks them.
"""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StringConstraints

from framework.domain.operator_requests import OPERATOR

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
"""Names of venues and strategies: they become parts of instrument names, order ids and metric labels."""


def _reserve(*reserved: str, meaning: str) -> AfterValidator:
    """A validator that refuses names which records use for something else."""

    def check(name: str) -> str:
        if name in reserved:
            raise ValueError(f"this name is reserved: {meaning}")
        return name

    return AfterValidator(check)


StrategyName = Annotated[Name, _reserve(OPERATOR, meaning="orders that an operator adopts are recorded under it")]
"""Names of strategies: all but the operator's own."""

CheckName = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9_]{1,64}$"),
    _reserve("gate", "kernel", meaning="refusals by no check say it"),
]
"""Names of checks: refusals say them."""

_ENABLED = "false: as if it were not there."

_OF_AN_ADDRESS = re.compile(r"[!#-&(-;=?-~]+")
"""No space and no quotation mark: where one is, masking takes the address to end, and the password to be none."""


def _is_proxy(address: str) -> bool:
    try:
        parts = urlsplit(address)
        is_whole = parts.scheme == "http" and bool(parts.hostname) and bool(parts.port)
    except ValueError:  # its text repeats parts of the address
        return False
    is_plain = _OF_AN_ADDRESS.fullmatch(address) is not None
    return is_whole and is_plain and not (parts.path.strip("/") or parts.query or parts.fragment)


def _http_proxy(address: str) -> str:
    """The error repeats no part of the address: a password may be in it."""
    if address and not _is_proxy(address):
        raise ValueError("must be http://[user:password@]host:port, with user and password percent-encoded")
    return address


ProxyAddress = Annotated[str, AfterValidator(_http_proxy)]
"""The address of an HTTP proxy; empty for none."""


class HttpSettings(BaseModel):
    """`[http]`: where metrics and health are served."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field("127.0.0.1", description="Address of the interface to listen on; 0.0.0.0 in a container.")
    port: int = Field(8080, ge=0, le=65_535, description="TCP port; 0 takes any free one.")
    allowed_hosts: tuple[str, ...] = Field(
        (), description="Names accepted in the Host header besides localhost and the address itself."
    )


class LogSettings(BaseModel):
    """`[log]`: what is logged, and how it looks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="The least that is logged.")
    format: Literal["auto", "json", "console"] = Field(
        "auto", description="auto: text on a terminal, JSON lines otherwise."
    )
    fills: bool = Field(True, description="Whether each fill and each settlement of a position is a line.")


class KernelSettings(BaseModel):
    """`[kernel]`: when a strategy has failed too often, and how long a shutdown may take."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    strategy_faults_max: int = Field(5, ge=1, description="Faults after which a strategy is quarantined.")
    strategy_call_ms_max: int = Field(500, ge=1, description="A strategy call that blocks longer counts as a fault.")
    order_deadline_ms: int = Field(
        2_000,
        ge=1,
        description="A new order, or an amend that does more than shrink, that has not left by then is not sent.",
    )
    refusals_per_second_max: int = Field(
        1_000,
        ge=50,
        le=1_000_000,
        description="A strategy that the gate refuses more often, for 5 seconds or by as much, is quarantined.",
    )
    shutdown_ms_max: int = Field(4_000, ge=100, description="Time to cancel everything and prove it when stopping.")
    reconcile_grace_ms: int = Field(
        10_000, ge=1_000, description="A position that differs from the venue's for longer halts its instrument."
    )


class TapeTable(BaseModel):
    """`[tape]`: the recording of market data for replay. Orders and fills are always in the journal."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = Field(True, description="Whether market data is recorded.")
    bytes_max: int = Field(268_435_456, ge=1_048_576, description="Size on disk at which the oldest part is dropped.")


class LedgerTable(BaseModel):
    """`[ledger]`: how much of the past the tables for people keep. Trading and recovery need none of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bytes_max: int = Field(
        1_073_741_824,
        ge=1_048_576,
        description="Size of the tables at which the oldest rows go: refusals, then ended orders, then fills.",
    )
    days_max: int = Field(90, ge=1, description="Age in days at which rows go in any case.")
    archive: Path | None = Field(
        None, description="Folder that gets what goes, as gzipped JSON lines; none: it is dropped."
    )


class AlertOutputRow(BaseModel):
    """`[alerts.outputs.NAME]`: one way on which alerts leave the daemon."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    use: Literal["webhook", "command"] = Field(
        description="webhook: each alert is an HTTP POST; command: each alert is a run of a program."
    )
    enabled: bool = Field(True, description=_ENABLED)
    level: Literal["page", "ticket"] = Field(
        "ticket", description="The least that is sent: page, what somebody must see to now, or ticket, everything."
    )
    template: Literal["json", "slack", "discord", "telegram"] = Field(
        "json", description="webhook: the form of the message, one that its receiver understands."
    )
    address_path: Path | None = Field(
        None, description="webhook: file with the address, https://…, readable by its owner alone; it is a secret."
    )
    token_path: Path | None = Field(
        None, description="webhook with the template json: file with a token that is sent as `Authorization: Bearer`."
    )
    chat_id: str = Field("", description="webhook with the template telegram: the chat that gets the messages.")
    proxy: ProxyAddress = Field(
        "", description="webhook: HTTP proxy, http://[user:password@]host:port; empty for none."
    )
    argv: tuple[str, ...] = Field(
        (), description='command: the program and its arguments, as in ["/usr/local/bin/page", "--now"]; no shell.'
    )
    timeout_ms: int = Field(5_000, ge=100, le=30_000, description="Longest time for one try.")


class AlertSettings(BaseModel):
    """`[alerts]`: who learns of what an operator must see."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(
        "tidegate", min_length=1, max_length=64, description="What messages begin with, to tell daemons apart."
    )
    repeat_s: int = Field(
        300, ge=0, le=86_400, description="An alert is sent again so often until somebody acknowledges it; 0: never."
    )
    outputs: dict[Name, AlertOutputRow] = Field(default_factory=dict, description="Where alerts go, by name.")


class SandboxSettings(BaseModel):
    """`[venues.NAME.sandbox]`: the local exchange that is started when `embedded_sandbox` is true."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(7, ge=0, description="The same seed gives the same order flow.")
    markets: int = Field(4, ge=1, le=1_000, description="How many markets it lists.")
    speed: Decimal = Field(
        Decimal(1), ge=0, le=1_000, description="How fast its traders act: 1 is natural, 0 stops them."
    )
    options: dict[str, Any] = Field(
        default_factory=dict, description="What else the venue's sandbox takes, if anything."
    )


class VenueRow(BaseModel):
    """`[venues.NAME]`: one account at one venue."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    use: str = Field(min_length=1, description="The connector: a module such as connectors.kalshi.plugin.")
    enabled: bool = Field(True, description=_ENABLED)
    embedded_sandbox: bool = Field(False, description="Start the venue's sandbox and trade there, with its own keys.")
    adopt_own: bool = Field(
        False,
        description="Adopt open orders that a daemon of before placed and this state directory does not know; a clean "
        "stop cancels them. Only where no other daemon trades on the account.",
    )
    accept_assumptions: bool = Field(
        False,
        description="Trade also where the way to sign requests is assumed, since the venue does not document it.",
    )
    allow_withdraw_keys: bool = Field(
        False,
        description="Trade also with a key that can withdraw: whoever gets hold of it can empty the account.",
    )
    allow_fund_moves: bool = Field(
        False,
        description="Let `tidegate transfer` and `tidegate withdraw` move funds out of this account, amount by amount.",
    )
    sandbox: SandboxSettings = Field(default_factory=SandboxSettings, description="Options of the embedded sandbox.")
    settings: dict[str, Any] = Field(default_factory=dict, description="The connector's settings.")
    proxy: ProxyAddress = Field(
        "",
        description="HTTP proxy for every connection to the venue: http://[user:password@]host:port; empty for none.",
    )


class StrategyRow(BaseModel):
    """`[strategies.NAME]`: one running strategy."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    use: str = Field(min_length=1, description="The strategy: module:Class, or an entry point's name.")
    enabled: bool = Field(True, description=_ENABLED)
    instruments: tuple[str, ...] = Field(
        min_length=1, description="Patterns of the instruments it gets, as in kalshi:KXTIDE-*."
    )
    instruments_max: int = Field(
        10, ge=1, description="At most so many of the instruments that match, in the order of their names."
    )
    trade_anything: bool = Field(
        False, description="Whether it may open positions in other instruments than its own, too."
    )
    settings: dict[str, Any] = Field(default_factory=dict, description="The strategy's settings.")


class CheckRow(BaseModel):
    """`[checks.NAME]`: one question of the risk gate."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    use: str = Field(min_length=1, description="The check: module:Class, or an entry point's name.")
    enabled: bool = Field(True, description=_ENABLED)
    after: str = Field("", description="The check that this one is asked directly after; empty: as they appear.")
    settings: dict[str, Any] = Field(default_factory=dict, description="The check's limits.")


class Configuration(BaseModel):
    """Everything that can be configured."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    live: bool = Field(
        False, description="Allow venues that are not on this machine; --live on the command line is needed too."
    )
    replace_checks: StrictBool = Field(
        False, description="true in a file: what the files before it said about checks is dropped."
    )
    plugin_paths: tuple[Path, ...] = Field((), description="Folders with your own strategies, checks and connectors.")
    state_dir: Path = Field(Path("state"), description="Journal, ledger and tape live here; one daemon per folder.")
    durability: Literal["power-loss", "process-crash"] = Field(
        "power-loss", description="What a recorded order survives. process-crash is faster and trusts the machine."
    )
    http: HttpSettings = Field(default_factory=HttpSettings)
    log: LogSettings = Field(default_factory=LogSettings)
    kernel: KernelSettings = Field(default_factory=KernelSettings)
    tape: TapeTable = Field(default_factory=TapeTable)
    ledger: LedgerTable = Field(default_factory=LedgerTable)
    alerts: AlertSettings = Field(default_factory=AlertSettings)
    venues: dict[Name, VenueRow] = Field(min_length=1, description="The venues, by the name used in instruments.")
    strategies: dict[StrategyName, StrategyRow] = Field(default_factory=dict, description="The strategies, by name.")
    checks: dict[CheckName, CheckRow] = Field(min_length=1, description="The risk gate's checks, by name.")
