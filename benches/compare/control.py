"""Before anything is measured: each gateway that enforces lets good tokens through and refuses those that it must."""

from . import gateways, probe
from .keys import ALGORITHMS
from .load import Wrong
from .servers import Cannot, Setup

EXPECTED = {"good": 200, "none": 401, "forged": 401, "expired": 401, "noscope": 403}


def refuses_what_it_must(rig, name):
    """The algorithms for which it does."""
    held = []
    for algorithm in ALGORITHMS:
        try:
            running = gateways.start(rig, name, Setup(algorithm=algorithm))
        except Cannot:
            continue
        with running:
            for kind, wanted in EXPECTED.items():
                token = None if kind == "none" else rig.keys.first(f"{kind}-{algorithm}")
                answer = probe.ask(running.port, "/orders/7", token)
                if answer.status != wanted:
                    raise Wrong(f"{algorithm}, token {kind}: answered {answer.status}, should be {wanted}")
        held.append(algorithm)
    return held


def control(rig, results):
    """Leaves those out that fail it: their figures would be of something else."""
    for name in [name for name in rig.gateways if name in gateways.ENFORCING]:
        try:
            held = refuses_what_it_must(rig, name)
        except (Wrong, OSError) as error:
            results.wrong("control", name, error)
            rig.gateways.remove(name)
            continue
        if held:
            print(f"  control: {name} refuses no token, forged, expired (401), without the scope (403): {', '.join(held)}")
