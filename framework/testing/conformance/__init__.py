"""The contract suite: what every venue's connector must do, played against the venue's own sandbox.

    python -m framework.testing.conformance kalshi
    python -m framework.testing.conformance --list

Each case starts a whole daemon (connector, kernel, gate, dispatcher, reconciler, journal) on a fresh exchange, drives
the market through the sandbox's administrator's address, and ends with a comparison of everything that the daemon knows
with what really happened there. A case that the venue does not offer is shown as such and never passes in silence.

| to read or change | go to |
|---|---|
| which venues there are, and what each declares for the suite | `candidates.py` |
| the cases | `cases/`, each declared with `case.py` |
| the daemon that a case drives | `session.py`; starting, crashing and resuming it: `stage.py` |
| the sandbox: acts, faults, truth | `sandbox.py`; the market that a case makes there: `market.py` |
| lost, late and cut answers, TLS | `front.py`, `authority.py` |
| the comparison at the end of a case | `agreement.py` |
| how the cases are run, and the table of what came of them | `suite.py`, `matrix.py`, `__main__.py` |
| the table of what the program says to bad input | `answers.py` |
"""
