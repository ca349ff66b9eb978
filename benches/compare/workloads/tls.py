"""(d) TLS 1.3, the same suite, curve and certificate for all: on kept connections, and with a handshake for each request."""

from ..load import Load
from ..rounds import Case, measure as measure_cases
from ..servers import Setup
from .warm import targets


def measure(rig, results):
    setup = Setup(tls=True)
    kept = Load(targets(rig), tls=True)
    anew = Load(targets(rig), tls=True, connections=8, headers=(("Connection", "close"),), handshakes=True)
    measure_cases(rig, results, [Case("d-kept", "TLS 1.3 on kept connections", kept, setup)])
    measure_cases(rig, results, [Case("d-handshake", "TLS 1.3, a whole handshake for each request", anew, setup)])
