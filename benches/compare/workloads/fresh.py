"""(b) Every request a token that nobody has seen: what verifying costs, for each kind of signature.

A round begins with a new process, so that each token is new to it again, and ends before the tokens do. Postern's new tokens also take
turns with those of (a) in the same process, and with verifications by the library alone.
"""

from .. import turns
from ..gateways import ENFORCING
from ..keys import ALGORITHMS
from ..load import Generator, Load, Wrong
from ..rounds import Case, measure as measure_cases
from ..servers import Setup, postern
from . import warm

_MOST_A_SECOND = {"RS256": 40_000, "ES256": 20_000, "EdDSA": 30_000}
# Of the requests with known tokens. One that is verified anew is dearer, and what it costs would be taken off the new ones'.
_VERIFIED_ANEW_AT_MOST = 0.001


def seconds(rig_seconds, quick):
    return 1 if quick else min(2, rig_seconds)


def tokens_needed(rig_seconds, quick):
    # Beside its turns it asks at the beginning, where it may have read the tokens sooner than it has time for, and until it has heard that
    # it is to end.
    longest = max(seconds(rig_seconds, quick), (turns.CYCLES_OF_FRESH_ONES + 4) * turns.SECONDS)
    return {name: int(rate * longest / (1 - rate / turns.TARGETS_A_SECOND)) for name, rate in _MOST_A_SECOND.items()}


def _beside(rig, algorithm):
    """What takes turns with a gateway's new tokens."""
    known = Generator(Load(warm.targets(rig)), rig)

    def those(running):
        known.run(running.port, 1, warming=True)
        before = postern.counted(running, "postern_token_cache_hits_total")

        def were_known(counted):
            hits = postern.counted(running, "postern_token_cache_hits_total") - before
            if hits < counted.requests * (1 - _VERIFIED_ANEW_AT_MOST):
                raise Wrong(f"of {counted.requests} requests with tokens that were known only {hits} were found verified")

        yield "known", turns.Asking(known, running, were_known)
        if rig.bare:
            yield "bare", turns.Verifying(rig.bare, algorithm)

    return those


def measure(rig, results):
    cases = []
    for algorithm in ALGORITHMS:
        fresh, good = ([("/orders/7", token) for token in rig.keys.tokens(f"{kind}-{algorithm}")] for kind in ("fresh", "good"))
        cases.append(
            Case(
                f"b-{algorithm}", f"every request a new token, {algorithm}", Load(fresh, once=True),
                Setup(algorithm=algorithm, admin=True), tuple(ENFORCING), fresh=True, warm=Load(good),
                seconds=seconds(rig.seconds, rig.quick), closely=("postern",), beside=_beside(rig, algorithm),
            )
        )  # fmt: skip
    measure_cases(rig, results, cases)
