"""(k) Two workers against one."""

from .. import machine
from ..load import Load
from ..rounds import Case, measure as measure_cases
from ..servers import Setup
from .warm import targets


def measure(rig, results):
    load = {}
    if machine.CORES >= 4:
        # The load must not be what ends the growth: it gets two cores, too.
        cores = {1: "0", 2: "0,2"}
        load = {"threads": 2, "cores": "1,3"}
    else:
        # One worker, too, may use both cores, so that only their number differs.
        cores = {1: "0,1", 2: "0,1"}
        results.note(
            f"(k) There are {machine.CORES} cores. Two workers share them with the load and the upstream, so requests a second"
            " cannot double; what is compared is requests for a second of the gateway's CPU, and the bound is held to twice"
            " their ratio"
        )
    load = Load(targets(rig), **load)
    cases = [Case(f"k-{n}", f"workers: {n}", load, Setup(workers=n, cores=cores[n])) for n in (1, 2)]
    measure_cases(rig, results, cases)
