"""(b) Every request a token that nobody has seen: what verifying costs, for each kind of signature.

A round begins with a new process, so that each token is new to it again, and ends before the tokens do.
"""

from ..gateways import ENFORCING
from ..keys import ALGORITHMS
from ..load import Load
from ..rounds import Case, measure as measure_cases
from ..servers import Setup

_MOST_A_SECOND = {"RS256": 50_000, "ES256": 30_000, "EdDSA": 30_000}


def seconds(rig_seconds, quick):
    return 1 if quick else min(2, rig_seconds)


def tokens_needed(rig_seconds, quick):
    return {name: rate * seconds(rig_seconds, quick) for name, rate in _MOST_A_SECOND.items()}


def measure(rig, results):
    cases = []
    for algorithm in ALGORITHMS:
        fresh, good = ([("/orders/7", token) for token in rig.keys.tokens(f"{kind}-{algorithm}")] for kind in ("fresh", "good"))
        cases.append(
            Case(
                f"b-{algorithm}", f"every request a new token, {algorithm}", Load(fresh, once=True),
                Setup(algorithm=algorithm), tuple(ENFORCING), fresh=True, warm=Load(good),
                seconds=seconds(rig.seconds, rig.quick),
            )
        )  # fmt: skip
    measure_cases(rig, results, cases, rig.bare.measure)
