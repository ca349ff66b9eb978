"""(f) Requests spread over 10 routes and over 10,000; and how long 10,000 take from their text until they are in force."""

import time

from .. import gateways, probe
from ..load import Load, Wrong
from ..rounds import Case, measure as measure_cases
from ..servers import Setup, postern, route_path

MANY = 10_000
_SWAP = "f-swap"
_RELOADS = 5  # of one process


def _load(rig, routes):
    tokens = rig.keys.tokens("warm")
    # As many requests in turn for both, so that writing them costs the load generator the same.
    paths = [f"{route_path(number % routes)}/7" for number in range(MANY)]
    return Load([(path, tokens[number % len(tokens)]) for number, path in enumerate(paths)])


def measure(rig, results):
    cases = [
        Case(f"f-{routes}", f"requests over {routes:,} routes", _load(rig, routes), Setup(routes=routes), closely=("postern",))
        for routes in (10, MANY)
    ]
    measure_cases(rig, results, cases)
    if "postern" in rig.gateways and not results.is_left_out(_SWAP, "postern"):
        _measure_swap(rig, results)


def _measure_swap(rig, results):
    """The configuration is written with one route more or less, and a reload asked for over the admin listener."""
    results.entitle(_SWAP, f"{MANY:,} routes: from their text until they are in force")
    try:
        with gateways.start(rig, "postern", Setup(routes=MANY, admin=True)) as running:
            for mark in range(1, 1 + _RELOADS):
                text = postern.configuration(running.home, running.port, running.setup, rig, mark)
                # Written and asked for in one go: its own watch waits a little before it looks.
                (running.home / "next.toml").write_text(text)
                (running.home / "next.toml").rename(running.home / "postern.toml")
                begun = time.monotonic()
                answer = probe.ask(running.setup.admin_port, "/api/v1/reload", method="POST", timeout=30)
                took = time.monotonic() - begun
                if answer.status != 200:
                    raise Wrong(f"the reload is answered {answer.status}: {running.child.last_words()}")
                results.put(_SWAP, "postern", milliseconds=took * 1e3)
    except (Wrong, OSError) as error:
        results.wrong(_SWAP, "postern", error)
