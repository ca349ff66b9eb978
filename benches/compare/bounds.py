"""What must hold: each bound is a figure of one run, mostly a ratio, and a limit."""

from dataclasses import dataclass

from . import machine
from .keys import ALGORITHMS


@dataclass
class Bound:
    title: str
    figure: float | None  # None: not measured in this run
    limit: float
    at_least: bool = False  # else at most
    unit: str = ""

    def is_held(self):
        if self.figure is None:
            return None
        return self.figure >= self.limit if self.at_least else self.figure <= self.limit

    def shown(self):
        return "-" if self.figure is None else f"{self.figure:,.2f}{self.unit}"

    def limit_shown(self):
        return f"{'>=' if self.at_least else '<='} {self.limit:g}{self.unit}"

    def verdict(self):
        return {None: "not measured", True: "held", False: "NOT HELD"}[self.is_held()]

    def as_json(self):
        return {
            "title": self.title, "figure": self.figure, "limit": self.limit, "at_least": self.at_least, "unit": self.unit,
            "held": self.is_held(),
        }  # fmt: skip


def _ratio(over, under):
    return over / under if over is not None and under else None


class _Figures:
    def __init__(self, results):
        self._results = results

    def of(self, case, gateway="postern", name="cpu"):
        return self._results.median(case, gateway, name)

    def beside(self, case, other, name="cpu"):
        """Postern's figure as a multiple of another's."""
        return _ratio(self.of(case, name=name), self.of(case, other, name))

    def beyond_warm(self, algorithm, verification):
        """What a new token costs beyond a known one, in verifications of its kind."""
        new, known = self.of(f"b-{algorithm}"), self.of("a")
        if new is None or known is None:
            return None
        return _ratio(new - known, verification.get(algorithm))

    def scaling(self):
        """Two workers as a multiple of one. On few cores the load takes some of theirs, so what they do with theirs counts."""
        if machine.CORES >= 4:
            return _ratio(self.of("k-2", name="rate"), self.of("k-1", name="rate"))
        one_over_two = _ratio(self.of("k-1"), self.of("k-2"))
        return None if one_over_two is None else 2 * one_over_two


def bounds(results, verification):
    """`verification`: what one bare verification takes, in microseconds, by algorithm."""
    figures = _Figures(results)
    swap, cold = (figures.of(case, name="milliseconds") for case in ("f-swap", "cold"))
    connection = figures.of("g", name="connection_bytes")
    most_failed = max(results.figures.get(("i-reloads", "postern"), {}).get("failed", [None]), default=None)
    slowest = _ratio(figures.of("i-reloads", name="p99"), figures.of("i-still", name="p99"))
    return [
        Bound("(a) CPU beside nginx, plain", figures.beside("a", "nginx"), 1.15, unit="x"),
        Bound("(a) CPU beside Envoy, jwt_authn", figures.beside("a", "envoy-jwt"), 0.25, unit="x"),
        *(
            Bound(f"(b) {name}: beyond (a), in bare verifications", figures.beyond_warm(name, verification), 1.1, unit="x")
            for name in ALGORITHMS
        ),
        Bound("(c) CPU beside Envoy, jwt_authn", figures.beside("c", "envoy-jwt"), 0.5, unit="x"),
        Bound("(d) kept connections: CPU beside nginx", figures.beside("d-kept", "nginx"), 1.15, unit="x"),
        Bound("(d) handshakes: CPU beside nginx", figures.beside("d-handshake", "nginx"), 1.15, unit="x"),
        *(
            Bound(
                f"(e) {name}: bytes a CPU second beside nginx", figures.beside(f"e-{name}", "nginx", "bytes_a_cpu_second"),
                0.9, at_least=True, unit="x",
            )
            for name in ("64k-down", "64k-up", "10m-down", "10m-up")
        ),
        Bound("(f) CPU with 10,000 routes beside 10", _ratio(figures.of("f-10000"), figures.of("f-10")), 1.03, unit="x"),
        Bound("(f) 10,000 routes compiled and in force", swap, 150, unit=" ms"),
        Bound("(g) memory of an idle connection", None if connection is None else connection / 1024, 12, unit=" KiB"),
        Bound("(h) a 401 for no token beside nginx's fixed one", figures.beside("h-none", "nginx"), 1.1, unit="x"),
        Bound("(i) failed requests, the most of a round", most_failed, 0),
        Bound("(i) p99 beside that without reloads", slowest, 1.25, unit="x"),
        Bound("(k) two workers beside one", figures.scaling(), 1.8, at_least=True, unit="x"),
        Bound("cold start to ready, 10,000 routes", cold, 250, unit=" ms"),
    ]  # fmt: skip
