"""(h) Requests refused with 401: without a token, and with one that somebody else signed. nginx returns a fixed 401."""

from ..gateways import ENFORCING
from ..load import Load
from ..rounds import Case, measure as measure_cases
from ..servers import Setup


def measure(rig, results):
    asked = tuple(ENFORCING) + ("nginx",)
    fixed = {"nginx": Setup(fixed_401=True)}
    none = Load([("/orders/7", None)], status=401, length=None)
    forged = Load([("/orders/7", token) for token in rig.keys.tokens("forged")], status=401, length=None)
    cases = [
        Case("h-none", "401: no token (nginx: return 401)", none, gateways=asked, setups=fixed, closely=("postern", "nginx")),
        Case("h-forged", "401: RS256 tokens with a forged signature (nginx: return 401)", forged, gateways=asked, setups=fixed),
    ]
    measure_cases(rig, results, cases)
