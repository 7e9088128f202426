"""The domain: instruments, events, orders, intents, verdicts, ports and errors. It imports no other part of Tidegate,
and plugins import nothing but it."""
