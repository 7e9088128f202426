"""What Tidegate speaks: instruments, events, orders, intents, ports and errors. Imports nothing else of ours."""
