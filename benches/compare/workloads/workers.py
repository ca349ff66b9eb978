"""(k) Two workers against one."""

from .. import machine
from ..load import Load
from ..rounds import Case, measure as measure_cases
from ..servers import Setup
from .warm import targets


def measure(rig, results):
    if machine.CORES < 4:
        results.note(
            f"(k) {machine.CORES} cores: two workers share theirs with the load, so requests a second cannot double."
            " Compared are requests for a second of the gateway's CPU; the bound is held by twice their ratio"
        )
    load = Load(targets(rig))
    cases = [Case(f"k-{n}", f"workers: {n}", load, Setup(workers=n)) for n in (1, 2)]
    measure_cases(rig, results, cases)
