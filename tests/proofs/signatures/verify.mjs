// Checks captured requests of KalqiX's client: one JSON object a line on standard input, with `dialect`, `method`,
// `target`, `headers`, `body`, `secret`, and the wallet's `address` (a) or the agent's `public_key` (b). The signed texts
// are built anew from what was sent. Prints how many were checked and what is wrong; exits 1 when anything is.
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { schnorr } from "@noble/curves/secp256k1.js";
import { verifyMessage } from "ethers";

const canonical = (fields) => JSON.stringify(fields, Object.keys(fields).sort());
const without = (fields, ...names) => Object.fromEntries(Object.entries(fields).filter(([name]) => !names.includes(name)));

function actionOf({ dialect, method, target, body }) {
  const [path, query] = target.split("?");
  if (method !== "DELETE") {
    const fields = JSON.parse(body);
    const action = { "/v1/orders": "PLACE_ORDER", "/v1/transfers": "TRANSFER", "/v1/withdrawals": "WITHDRAW" }[path];
    return [{ ...without(fields, "signature", "client_order_id"), action }, fields.signature];
  }
  const given = Object.fromEntries(new URLSearchParams(query));
  const numbers = Object.fromEntries(
    Object.entries(without(given, "signature", "order_id")).map(([name, value]) => [name, Number(value)]),
  );
  const all = path.endsWith("/cancel-all-orders");
  const rest = all ? { action: "CANCEL_ALL_ORDERS" } : { action: "CANCEL_ORDER", order_id: path.split("/").at(-1) };
  return [{ ...rest, ...numbers }, given.signature];
}

function hmacOf({ dialect, method, target, headers, body, secret }) {
  const [path, query] = target.split("?");
  const sorted = [...new URLSearchParams(query ?? "")].sort(([a], [b]) => a.localeCompare(b));
  const place = dialect === "a" ? target : `${path}|${sorted.map(([name, value]) => `${name}=${value}`).join("&")}`;
  const text = body ? canonical(JSON.parse(body)) : "";
  return createHmac("sha256", secret).update(`${method}|${place}|${text}|${headers["x-api-timestamp"]}`).digest("hex");
}

function isSigned(one) {
  const [fields, signature] = actionOf(one);
  const text = canonical(fields);
  if (one.dialect === "a") return verifyMessage(text, signature) === one.address;
  const bytes = (hex) => Uint8Array.from(Buffer.from(hex, "hex"));
  return schnorr.verify(bytes(signature), new TextEncoder().encode(text), bytes(one.public_key));
}

const captured = readFileSync(0, "utf8").split("\n").filter(Boolean).map((line) => JSON.parse(line));
const wrong = captured.flatMap((one) => {
  const flaws = [];
  if (hmacOf(one) !== one.headers["x-api-signature"]) flaws.push(`hmac: ${one.method} ${one.target}`);
  if (one.is_action && !isSigned(one)) flaws.push(`action: ${one.method} ${one.target} ${one.body}`);
  return flaws;
});
console.log(JSON.stringify({ checked: captured.length, actions: captured.filter((one) => one.is_action).length, wrong }));
process.exit(wrong.length || !captured.length ? 1 : 0);
