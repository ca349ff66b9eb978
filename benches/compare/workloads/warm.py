"""(a) RS256, 1,000 tokens in turn, all seen before: what enforcing costs when nothing has to be verified anew."""

from ..load import Load
from ..rounds import Case, measure as measure_cases


def targets(rig):
    return [("/orders/7", token) for token in rig.keys.tokens("warm")]


def measure(rig, results):
    load = Load(targets(rig))
    measure_cases(rig, results, [Case("a", "RS256, 1,000 tokens, warm cache, 200 bytes", load, closely=("postern", "nginx"))])
