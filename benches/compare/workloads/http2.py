"""(c) HTTP/2 in clear with prior knowledge: 100 streams on each of 10 connections, over HTTP/1.1 to the upstream."""

from ..load import Load
from ..rounds import Case, measure as measure_cases
from ..servers import Setup
from .warm import targets


def measure(rig, results):
    load = Load(targets(rig)[:1], connections=10, streams=100)
    measure_cases(rig, results, [Case("c", "HTTP/2 in clear, 100 streams on 10 connections", load, Setup(http2=True))])
