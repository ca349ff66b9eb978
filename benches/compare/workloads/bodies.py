"""(e) Bodies of 64 KiB and 10 MiB, down and up: how many bytes a second of CPU moves."""

from ..load import Load
from ..rig import ANSWER, KIB, MIB
from ..rounds import Case, measure as measure_cases
from .warm import targets


def measure(rig, results):
    tokens = [token for _, token in targets(rig)]
    for name, size, connections in (("64k", 64 * KIB, 64), ("10m", 10 * MIB, 4)):
        # Long enough that those which the end cuts off are few.
        seconds = max(3, rig.seconds)
        says = f"{size // KIB} KiB" if size < MIB else f"{size // MIB} MiB"
        down = [(f"/orders/file/{name}", token) for token in tokens]
        load = Load(down, connections, length=size)
        measure_cases(rig, results, [Case(f"e-{name}-down", f"downloads of {says}", load, seconds=seconds)])
        up = [("/orders/sink/", tokens[0])]
        load = Load(up, connections, method="POST", body=b"x" * size, length=ANSWER)
        measure_cases(rig, results, [Case(f"e-{name}-up", f"uploads of {says}", load, seconds=seconds)])
