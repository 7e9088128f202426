"""The served description: every endpoint is in it, and every answer is as it says."""

from __future__ import annotations

import re
from typing import Any

from connectors.bitexasia.sandbox.rest import DESCRIPTION, REST
from tests.connectors.bitexasia.signed_client import Client

KINDS: dict[str, type] = {"string": str, "integer": int, "array": list, "object": dict, "boolean": bool}
KNOWN = {"$ref", "title", "description", "type", "properties", "required", "enum", "items", "additionalProperties"}
"""The words of JSON Schema that the description uses; OpenAPI 3.0 has all of them."""


def flaws(schema: dict[str, Any], value: Any, page: dict[str, Any], where: str = "answer") -> list[str]:
    """Where a value is not as the schema says; an object may have no member that is not described."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/components/schemas/")
        return flaws(page["components"]["schemas"][name], value, page, f"{where}({name})")
    assert set(schema) <= KNOWN, f"{where}: {set(schema) - KNOWN} is not looked at"
    if "enum" in schema:
        return [] if value in schema["enum"] else [f"{where}: {value!r} is none of {schema['enum']}"]
    kind = KINDS[schema["type"]]
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        return [f"{where}: {value!r} is no {schema['type']}"]
    if isinstance(value, list):
        return [flaw for one in value for flaw in flaws(schema["items"], one, page, f"{where}[]")]
    if not isinstance(value, dict):
        return []
    named, others = schema.get("properties", {}), schema.get("additionalProperties")
    found = [f"{where}.{name}: is missing" for name in schema.get("required", ()) if name not in value]
    for name, one in value.items():
        inner = named.get(name, others)
        found += [f"{where}.{name}: is not described"] if inner is None else flaws(inner, one, page, f"{where}.{name}")
    return found


async def described(client: Client) -> dict[str, Any]:
    """The description as it is served."""
    answer = await client.call("GET", DESCRIPTION, headers={})
    assert answer.status == 200
    return dict(answer.body)


async def test_description_when_served_then_it_has_every_endpoint_and_no_other(client: Client) -> None:
    page = await described(client)
    assert re.fullmatch(r"3\.0\.\d", page["openapi"])
    served = {(one.method.lower(), one.path) for one in REST.endpoints if one.path != DESCRIPTION}
    assert {(method, path) for path, methods in page["paths"].items() for method in methods} == served
    assert len(served) == 7
    for path, methods in page["paths"].items():
        for operation in methods.values():
            in_path = {one["name"] for one in operation["parameters"] if one["in"] == "path"}
            assert in_path == set(re.findall(r"{(\w+)}", path))
            assert "default" in operation["responses"]
    names = [operation["operationId"] for methods in page["paths"].values() for operation in methods.values()]
    assert len(set(names)) == len(names)


async def test_answers_when_compared_with_the_description_then_they_are_as_it_says(client: Client) -> None:
    page = await described(client)
    await client.quote([["62000.00", "1.00"]], [["63000.00", "1.00"]])
    placed = (await client.order()).body["id"]
    calls = [
        ("get", "/markets", ""),
        ("get", "/ticker/{pair}", ""),
        ("get", "/orderbook/{pair}", ""),
        ("post", "/orders", {"pair": "BTC-USD", "side": "buy", "type": "limit", "price": "60000", "size": "0.01"}),
        ("post", "/orders", {"pair": "BTC-USD", "side": "buy", "type": "market", "size": "0.01"}),
        (
            "post",
            "/orders",
            {"pair": "BTC-USD", "side": "sell", "type": "stop", "price": "1", "stop_price": "2", "size": "0.01"},
        ),
        ("get", "/orders/{id}", ""),
        ("post", "/orders/{id}/cancel", ""),
        ("get", "/account/balances", ""),
    ]
    for method, path, body in calls:
        operation = page["paths"][path][method]
        target = path.replace("{pair}", "BTC-USD").replace("{id}", placed)
        answer = await client.call(method.upper(), target, body)
        responses = operation["responses"]
        assert str(answer.status) in responses, (path, answer)
        schema = responses[str(answer.status)]["content"]["application/json"]["schema"]
        assert flaws(schema, answer.body, page) == [], (path, answer)
        if body:
            sent = operation["requestBody"]["content"]["application/json"]["schema"]
            assert flaws(sent, body, page) == []
    assert {(method, path) for method, path, _ in calls} == {
        (method, path) for path, methods in page["paths"].items() for method in methods
    }


async def test_refusals_when_compared_with_the_description_then_they_are_as_it_says(client: Client) -> None:
    page = await described(client)
    for method, path, headers in (("GET", "/orders/none", None), ("GET", "/account/balances", {})):
        answer = await client.call(method, path, headers=headers)
        schema = page["paths"]["/orders"]["post"]["responses"]["default"]["content"]["application/json"]["schema"]
        assert answer.status >= 400
        assert flaws(schema, answer.body, page) == []


def test_flaws_when_a_value_is_not_as_described_then_each_is_named() -> None:
    page: dict[str, Any] = {
        "components": {"schemas": {"A": {"type": "object", "properties": {"x": {"type": "string"}}}}}
    }
    schema = {"$ref": "#/components/schemas/A"}
    assert flaws(schema, {"x": "1"}, page) == []
    assert flaws(schema, {"x": 1}, page) == ["answer(A).x: 1 is no string"]
    assert flaws(schema, {"y": "1"}, page) == ["answer(A).y: is not described"]
    assert flaws({"type": "array", "items": schema}, [{"x": None}], page) == ["answer[](A).x: None is no string"]
