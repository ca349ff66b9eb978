"""What must hold: each bound is a figure of one run, mostly a ratio, and a limit.

A ratio is taken in each round, of what the same disturbances fell on, and the median of the rounds is the figure. (a) beside nginx, (f)
and (h) are of what took turns. (b) is of the quietest tenth of what took turns: a neighbour in the processor's caches costs a gateway
much, and a loop that has nothing there little.
"""

import statistics
from dataclasses import dataclass

from . import machine
from .keys import ALGORITHMS

# Of the blocks of (b). Where neighbours are quiet for less of the time than this, it is of disturbed ones.
_QUIETEST = 0.1


@dataclass
class Bound:
    workload: str
    what: str
    figures: list  # mostly of each round; empty: not measured in this run
    limit: float
    other: str = ""  # the gateway beside which it is
    at_least: bool = False  # else at most
    unit: str = "x"
    otherwise: str = ""  # other figures, where the rounds have none each

    @property
    def figure(self):
        return statistics.median(self.figures) if self.figures else None

    def is_held(self):
        if self.figure is None:
            return None
        return self.figure >= self.limit if self.at_least else self.figure <= self.limit

    def is_among(self, workloads, gateways):
        """Whether these are enough to measure it."""
        return self.workload in workloads and {"postern", self.other or "postern"} <= set(gateways)

    @property
    def title(self):
        return f"({self.workload}) {self.what}"

    def shown(self):
        return "-" if self.figure is None else f"{self.figure:,.2f}{self.unit}"

    def half_shown(self):
        """Between which figures the middle half of the rounds lies."""
        if len(self.figures) < 4:
            return self.otherwise
        low, _, high = statistics.quantiles(self.figures, n=4)
        return f"{low:,.2f} to {high:,.2f}"

    def limit_shown(self):
        return f"{'>=' if self.at_least else '<='} {self.limit:g}{self.unit}"

    def verdict(self):
        return {None: "not measured", True: "held", False: "NOT HELD"}[self.is_held()]

    def as_json(self):
        return {
            "title": self.title, "figure": self.figure, "figures": self.figures, "limit": self.limit, "at_least": self.at_least,
            "unit": self.unit, "held": self.is_held(),
        }  # fmt: skip


class _Figures:
    def __init__(self, results):
        self._results = results

    def of(self, case, name):
        return self._results.rounds(case, "postern", name)

    def beside(self, case, other, name="cpu"):
        """Postern's figure as a multiple of another's."""
        return _ratios(self.of(case, name), self._results.rounds(case, other, name))

    def between(self, case, other, name="cpu"):
        """Postern's figure in one case as a multiple of that in another."""
        return _ratios(self.of(case, name), self.of(other, name))

    def beyond_known(self, algorithm, part):
        """What a new token costs beyond a known one, in verifications of its kind, each being what this part of its blocks are below."""
        new, known, bare = (self._results.part(f"b-{algorithm}", "postern", name, part) for name in ("closely", "known", "bare"))
        return [] if None in (new, known, bare) else [(new - known) / bare]

    def beyond_known_otherwise(self, algorithm):
        """The same by a quarter and by the medians, in words."""
        ratios = [*self.beyond_known(algorithm, 0.25), *self.beyond_known(algorithm, 0.5)]
        return "a quarter {:.2f}, of all {:.2f}".format(*ratios) if ratios else "too few blocks"

    def scaling(self):
        """Two workers as a multiple of one. On few cores the load takes some of theirs, so what they do with theirs counts."""
        if machine.CORES >= 4:
            return self.between("k-2", "k-1", "rate")
        return [2 * ratio for ratio in self.between("k-1", "k-2")]


def _ratios(over, under):
    return [one / other for one, other in zip(over, under) if other]


def bounds(results):
    figures = _Figures(results)
    connection = [each / 1024 for each in figures.of("g", "connection_bytes")]
    failed = figures.of("i-reloads", "failed")
    return [
        Bound("a", "CPU beside nginx, plain", figures.beside("a", "nginx", "closely"), 1.15, other="nginx"),
        Bound("a", "CPU beside Envoy, jwt_authn", figures.beside("a", "envoy-jwt"), 0.25, other="envoy-jwt"),
        *(
            Bound(
                "b", f"{name}: beyond known tokens, in bare verifications", figures.beyond_known(name, _QUIETEST), 1.1,
                otherwise=figures.beyond_known_otherwise(name),
            )
            for name in ALGORITHMS
        ),
        Bound("c", "CPU beside Envoy, jwt_authn", figures.beside("c", "envoy-jwt"), 0.5, other="envoy-jwt"),
        Bound("d", "kept connections: CPU beside nginx", figures.beside("d-kept", "nginx"), 1.15, other="nginx"),
        Bound("d", "handshakes: CPU beside nginx", figures.beside("d-handshake", "nginx"), 1.15, other="nginx"),
        *(
            Bound(
                "e", f"{name}: bytes a CPU second beside nginx", figures.beside(f"e-{name}", "nginx", "bytes_a_cpu_second"),
                0.9, at_least=True, other="nginx",
            )
            for name in ("64k-down", "64k-up", "10m-down", "10m-up")
        ),
        Bound("f", "CPU with 10,000 routes beside 10", figures.between("f-10000", "f-10", "closely"), 1.03),
        Bound("f", "10,000 routes compiled and in force", figures.of("f-swap", "milliseconds"), 150, unit=" ms"),
        Bound("g", "memory of an idle connection", connection, 12, unit=" KiB"),
        Bound("h", "a 401 for no token beside nginx's fixed one", figures.beside("h-none", "nginx", "closely"), 1.1, other="nginx"),
        Bound("i", "failed requests, the most of a round", [max(failed)] if failed else [], 0, unit=""),
        Bound("i", "p99 beside that without reloads", figures.between("i-reloads", "i-still", "p99"), 1.25),
        Bound("k", "two workers beside one", figures.scaling(), 1.8, at_least=True),
        Bound("cold", "start to ready, 10,000 routes", figures.of("cold", "milliseconds"), 250, unit=" ms"),
    ]  # fmt: skip
