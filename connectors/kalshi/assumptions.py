"""What is assumed of Kalshi without proof. Shown before live use."""

from __future__ import annotations

ASSUMPTIONS = (
    "No fact has been checked against the live service; the newest vendor specification read is of October 2026.",
    "A second subscription to a channel on one connection is answered like the first (undocumented).",
    "A partly filled immediate-or-cancel order ends as canceled, a fully filled one as executed.",
    "A 4xx with the venue's own error code (but 408), and every 429, mean that nothing of a write was done.",
    "Answers without the venue's own error code (a proxy's 4xx), 408 and 5xx prove nothing: the order stays unknown.",
    "order_already_exists means an order of this account under our id; an id is never given free (recorded).",
    "trading_is_paused and exchange_is_paused mean that nothing of the request was kept.",
    "Timestamps within 5 s of the venue's clock are accepted and those 30 s behind it refused (both recorded).",
    "Reads may lag behind writes by less than read_lag_ms (0.36 s was recorded).",
    "A fill's trade_id, price, count and fee are the same on the stream and in reads; trade_id is unique per account.",
    "reduced_by in the answer to a cancel is what was left of the order then: another number than ours shows a fill.",
    "The counts in the answer to an amend are not used: whether they speak of the order or of the request is unknown.",
    "After an amend or a decrease, filled plus remaining is the order's total; initial_count may be the old one.",
    "Writes that name a shard above 0 are billed to that shard; they are counted against one common limit here.",
    "Events that /events does not list (multivariate ones) have no fee override.",
    "The fee table of type flat is not published: the dearest known formula is used to estimate it.",
    "Lists of orders and fills that name no subaccount are of all, positions of the primary one (vendor docs).",
    "Of orders that ended long ago (two weeks) a look-up finds nothing; resting ones are always listed.",
    "min_ts of a list of orders is compared with their creation; a day before ours is asked for at most.",
    "What a settled market pays is what its own reading says once it is finalized; determined results may be amended.",
    "Resting orders of a market end at its close_time; no message announces the close itself.",
    "How many stream connections an account may have is not documented; one is used.",
    "The answer to get_snapshot takes the next number of its subscription (vendor docs): it proves quiet books.",
    "A stream that neither sends nor pings for 25 s is dead; the venue pings about every 10 s (recorded).",
)
