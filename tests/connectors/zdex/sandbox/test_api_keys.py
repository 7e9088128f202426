"""API keys as the vendor's page shows them: the fields of every answer, and each rule."""

from __future__ import annotations

from typing import Any

import pytest

from tests.connectors.zdex.support import Client, signed

CREATE = {"label": "My Trading Bot", "permissions": ["READ_ONLY", "TRADE"], "ipWhitelist": ["203.0.113.50"]}
CREATED = {
    "ok": True,
    "id": "clx...",
    "apiKey": "zdex_a1b2c3d4e5f6789...",
    "secretKey": "e8f2a1b3c4d5e6f7890abcdef...",
    "label": "My Trading Bot",
    "permissions": ["READ_ONLY", "TRADE"],
    "message": "Save your secret key now. It will not be shown again.",
}
LISTED = {
    "id": "clx...",
    "label": "My Trading Bot",
    "keyPrefix": "zdex_a1b2c3d4",
    "permissions": ["READ_ONLY", "TRADE"],
    "ipWhitelist": ["203.0.113.50"],
    "isActive": True,
    "lastUsedAt": "2026-03-27T10:30:00.000Z",
    "createdAt": "2026-03-25T08:00:00.000Z",
}
UPDATE = {"label": "Updated Name", "permissions": ["READ_ONLY"], "ipWhitelist": []}


async def row_of(client: Client, name: str) -> dict[str, Any]:
    """A key as it is listed."""
    rows = (await client.session("GET", "/api-keys")).body["keys"]
    return next(row for row in rows if row["id"] == name)


async def test_key_when_it_is_created_then_the_answer_has_the_fields_of_the_page(client: Client) -> None:
    made = await client.session("POST", "/api-keys", CREATE)
    assert made.status == 200
    assert set(made.body) == set(CREATED)
    for name in ("ok", "label", "permissions", "message"):
        assert made.body[name] == CREATED[name]
    assert made.body["apiKey"].startswith({"v1": "zdex_", "v2": "zd_"}[client.ready["dialect"]])
    row = await row_of(client, made.body["id"])
    assert set(row) == set(LISTED)
    assert made.body["apiKey"].startswith(row["keyPrefix"])
    assert len(row["keyPrefix"]) == len(str(LISTED["keyPrefix"]))
    assert (row["ipWhitelist"], row["isActive"], row["lastUsedAt"]) == (["203.0.113.50"], True, None)
    assert "secret" not in str(row).lower()


async def test_key_when_only_a_label_is_given_then_it_may_read_from_everywhere(client: Client) -> None:
    made = await client.session("POST", "/api-keys", {"label": "x"})
    assert made.body["permissions"] == ["READ_ONLY"]
    assert (await row_of(client, made.body["id"]))["ipWhitelist"] == []


async def test_key_when_it_is_used_then_it_does_what_it_may_and_that_is_noted(client: Client) -> None:
    made = (await client.session("POST", "/api-keys", {"label": "x"})).body
    headers = {"X-API-KEY": made["apiKey"]}
    read = await client.send("GET", f"/positions?{signed(made['secretKey'], {}, client.stamp_ms())}", headers=headers)
    write = await client.send(
        "POST", f"/orders?{signed(made['secretKey'], {}, client.stamp_ms())}", {}, headers=headers
    )
    assert (read.status, write.status) == (200, 403)
    assert (await row_of(client, made["id"]))["lastUsedAt"] is not None


async def test_key_when_it_is_updated_then_only_what_is_given_changes(client: Client) -> None:
    name = (await client.session("POST", "/api-keys", CREATE)).body["id"]
    assert (await client.session("PATCH", f"/api-keys/{name}", {"label": "Other"})).status == 200
    row = await row_of(client, name)
    assert (row["label"], row["permissions"], row["ipWhitelist"]) == (
        "Other", CREATE["permissions"], CREATE["ipWhitelist"],
    )  # fmt: skip
    await client.session("PATCH", f"/api-keys/{name}", UPDATE)
    assert {field: (await row_of(client, name))[field] for field in UPDATE} == UPDATE


async def test_key_when_it_is_revoked_then_it_is_dead_for_good(client: Client) -> None:
    made = (await client.session("POST", "/api-keys", {"label": "x"})).body
    assert (await client.session("DELETE", f"/api-keys/{made['id']}")).body == {"ok": True}
    assert (await row_of(client, made["id"]))["isActive"] is False
    headers = {"X-API-KEY": made["apiKey"]}
    used = await client.send("GET", f"/positions?{signed(made['secretKey'], {}, client.stamp_ms())}", headers=headers)
    again = await client.session("PATCH", f"/api-keys/{made['id']}", {"label": "y"})
    assert (used.status, again.status) == (401, 404)


async def test_keys_when_five_are_active_then_there_is_no_sixth_until_one_is_revoked(client: Client) -> None:
    names = []
    while (made := await client.session("POST", "/api-keys", {"label": "x"})).status == 200:
        names.append(made.body["id"])
    rows = (await client.session("GET", "/api-keys")).body["keys"]
    assert len([row for row in rows if row["isActive"]]) == 5
    assert "Maximum 5 active API keys" in made.body["error"]
    await client.session("DELETE", f"/api-keys/{names[0]}")
    assert (await client.session("POST", "/api-keys", {"label": "x"})).status == 200


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"label": ""},
        {"label": "x" * 51},
        {"label": 5},
        {"label": "x", "permissions": ["ADMIN"]},
        {"label": "x", "permissions": []},
        {"label": "x", "ipWhitelist": ["nowhere"]},
        {"label": "x", "expiresAt": 1},
    ],
)
async def test_key_when_a_field_is_wrong_then_none_is_made(client: Client, wrong: dict[str, Any]) -> None:
    before = (await client.session("GET", "/api-keys")).body["keys"]
    made = await client.session("POST", "/api-keys", wrong)
    assert (made.status, made.body["ok"]) == (400, False)
    assert (await client.session("GET", "/api-keys")).body["keys"] == before


async def test_key_when_its_end_has_come_then_it_is_refused(client: Client) -> None:
    ends_ms = client.stamp_ms() + 400
    made = (await client.session("POST", "/api-keys", {"label": "x", "expiresAt": ends_ms})).body
    headers = {"X-API-KEY": made["apiKey"]}

    async def status() -> int:
        query = signed(made["secretKey"], {}, client.stamp_ms())
        return (await client.send("GET", f"/positions?{query}", headers=headers)).status

    assert await status() == 200
    client.sandbox.keys.by_key[made["apiKey"]].expires_ns = 1
    assert await status() == 401


@pytest.mark.parametrize(("method", "path"), [("GET", "/api-keys"), ("POST", "/api-keys"), ("DELETE", "/api-keys/x")])
async def test_keys_when_a_key_asks_for_them_then_it_is_refused(client: Client, method: str, path: str) -> None:
    assert (await client.ask(method, path, CREATE if method == "POST" else None)).status == 403
    nobody = await client.send(method, path, headers={"Authorization": "Bearer nobody"})
    assert (nobody.status, nobody.body["error"]) == (401, "Invalid or expired token")
