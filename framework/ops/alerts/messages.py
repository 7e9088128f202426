"""The message that an output sends: as JSON for programs, and as text in the form that each receiver understands.

* Slack, incoming webhooks: `{"text": …}`; `&`, `<` and `>` are written as entities. Source: docs.slack.dev, "Sending
  messages using incoming webhooks" and "Formatting message text".
* Discord, "Execute Webhook": `{"content": …}` of up to 2,000 characters; `"allowed_mentions": {"parse": []}` calls
  nobody whom a text happens to name. Source: docs.discord.com/developers/resources/webhook.
* Telegram, `sendMessage`: `{"chat_id": …, "text": …}` of up to 4,096 characters, without a parse mode. Source:
  core.telegram.org/bots/api.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import msgspec

from framework.ops.alerts.alert import ALERT_TEXT_MAX, Notice, NoticeStatus


class AlertMessage(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of an alert: the JSON object that programs get. `daemon` is `alerts.name`, `alert` the name by which
    it is acknowledged. `since` and `until` are UTC, `until` empty while it holds; `sent` says how many messages of this
    alert were taken before."""

    daemon: str
    status: str
    level: str
    alert: str
    kind: str
    scope: str
    target: str
    text: str
    since: str
    until: str
    sent: int


def alert_message(notice: Notice, *, daemon: str) -> AlertMessage:
    """The message of a notice, for a daemon of this name."""
    alert = notice.alert
    return AlertMessage(
        daemon=daemon,
        status=notice.status.value,
        level=alert.kind.level.value,
        alert=alert.name,
        kind=alert.kind.value,
        scope=alert.scope.value,
        target=alert.target,
        text=_plain(alert.text[:ALERT_TEXT_MAX]),
        since=utc_text(alert.since_ns),
        until=utc_text(notice.until_ns),
        sent=alert.sent,
    )


def text_of(message: AlertMessage) -> str:
    """The message for people: what happened, then since when, and how to acknowledge it."""
    if message.status == NoticeStatus.TEST.value:
        return f"TEST {message.daemon}: {message.text}"
    if message.status == NoticeStatus.RESOLVED.value:
        span = f"from {message.since} to {message.until}"
        return f"RESOLVED {message.daemon}: {message.alert} is over, {span}\nit was last: {message.text}"
    first = f"{message.level.upper()} {message.daemon}: {message.text}"
    again = f", {sent_text(message.sent)} before" if message.sent else ""
    return f"{first}\n{message.alert}, since {message.since}{again}; tidegate ack {message.alert}"


def _slack(message: AlertMessage, _chat_id: str) -> Mapping[str, object]:
    text = text_of(message)
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(character, entity)
    return {"text": text}


def _discord(message: AlertMessage, _chat_id: str) -> Mapping[str, object]:
    return {"content": text_of(message), "allowed_mentions": {"parse": []}}


def _telegram(message: AlertMessage, chat_id: str) -> Mapping[str, object]:
    return {"chat_id": chat_id, "text": text_of(message)}


TEMPLATES: Mapping[str, Callable[[AlertMessage, str], object]] = {
    "json": lambda message, _chat_id: message,
    "slack": _slack,
    "discord": _discord,
    "telegram": _telegram,
}
"""What a webhook sends, by the name of its template in the configuration."""


def sent_text(count: int) -> str:
    """How often something was sent, in words."""
    return {0: "not sent", 1: "sent once", 2: "sent twice"}.get(count, f"sent {count} times")


def utc_text(time_ns: int) -> str:
    """A wall time in nanoseconds as ISO 8601 in UTC, to the second; empty for 0, which means none."""
    return f"{datetime.fromtimestamp(time_ns // 10**9, UTC):%Y-%m-%dT%H:%M:%SZ}" if time_ns else ""


def _plain(text: str) -> str:
    """Without what would act on a terminal, or could not be written as UTF-8: some words of it come from venues."""
    return "".join(one if one.isprintable() or one == "\n" else "?" for one in text)
