"""(k) Two workers against one."""

import contextlib

from .. import machine
from ..load import Load, Wrong
from ..rounds import Case, measure as measure_cases
from ..servers import Setup
from .warm import targets


# Of what all workers use. The kernel deals connections out by chance.
_SHARE_AT_LEAST = 0.2


@contextlib.contextmanager
def all_at_work(_, running):
    """Sees to it that Postern has as many workers as it should, and that each has its part in the work."""
    if running.name != "postern":
        yield
        return
    before = machine.threads(running.child.pid, "postern-worker")
    yield
    after = machine.threads(running.child.pid, "postern-worker")
    used = [seconds - before.get(thread, 0) for thread, seconds in after.items()]
    at_work = [each for each in used if each > 0 and each >= _SHARE_AT_LEAST * sum(used)]
    if len(at_work) != running.setup.workers:
        raise Wrong(f"not {running.setup.workers} workers at work, of which each used (seconds): {used}")


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
    cases = [Case(f"k-{n}", f"workers: {n}", load, Setup(workers=n, cores=cores[n]), meanwhile=all_at_work) for n in (1, 2)]
    measure_cases(rig, results, cases)
