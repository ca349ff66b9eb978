"""Cold start with 10,000 routes: from the start of the process until a request with a token is answered with 200."""

from .. import gateways
from ..load import Wrong
from ..servers import Cannot, Setup
from .routes import MANY


def measure(rig, results):
    results.entitle("cold", f"cold start to ready, {MANY:,} routes")
    for _ in range(rig.rounds):
        for gateway in rig.gateways:
            if results.is_left_out("cold", gateway):
                continue
            try:
                with gateways.start(rig, gateway, Setup(routes=MANY)) as running:
                    milliseconds = running.started_in * 1e3
                    results.put("cold", gateway, milliseconds=milliseconds, memory=running.memory())
                    print(f"  cold {gateway:12} {milliseconds:8.0f} ms", flush=True)
            except Cannot:
                results.cannot("cold", gateway)
            except (Wrong, OSError) as error:
                results.wrong("cold", gateway, error)
