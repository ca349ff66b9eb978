"""Measures gateways side by side: all of a group stand at once, one is asked at a time, for a short while and in many rounds, so that
what else the machine does falls on all of them. Every other round goes the other way round. What is compared closely also takes turns."""

import contextlib
from dataclasses import dataclass, field

from . import gateways, probe, turns
from .gateways import GATEWAYS
from .load import Generator, Load, Wrong
from .servers import Cannot, Setup


TLS_FOR_ALL = ("TLSv1.3", "TLS_AES_128_GCM_SHA256", "ECDH, prime256v1")


@dataclass
class Case:
    """One load, and which gateways it is put on."""

    name: str
    title: str
    load: Load
    setup: Setup = Setup()
    gateways: tuple = tuple(GATEWAYS)
    setups: dict = field(default_factory=dict)  # of gateways for which it is another
    fresh: bool = False  # each round a new process, that has seen none of the tokens
    warm: Load = None  # before it is measured; the same load if left out
    meanwhile: object = None  # what happens while it is measured: a context manager made from what runs
    closely: tuple = ()  # gateways that take turns: with each other, over all cases that are measured together
    beside: object = None  # for a fresh one: what else takes turns with it, a function of what runs that yields names and these
    seconds: int = 0  # 0: as the run has it

    def __post_init__(self):
        if self.beside and not self.fresh:
            raise ValueError(f"{self.name}: those that are not fresh take turns with each other only")

    def setup_of(self, gateway):
        return self.setups.get(gateway, self.setup)


class Entrant:
    """A gateway in a case."""

    def __init__(self, rig, case, gateway, results):
        self.case, self.gateway, self._rig, self._results = case, gateway, rig, results
        self._running = self._generator = self._warmer = None
        self._whole = 0

    def begin(self, stack):
        self._generator = Generator(self.case.load, self._rig)
        self._warmer = Generator(self.case.warm, self._rig) if self.case.warm else self._generator
        if not self.case.fresh:
            self._start(stack)

    def _start(self, stack):
        self._running = gateways.start(self._rig, self.gateway, self.case.setup_of(self.gateway))
        stack.enter_context(self._running)
        if not self.case.load.streams:
            self._look_at_answer()
        self._warmer.run(self._running.port, 1 if self._rig.quick else 2, warming=True)

    def _look_at_answer(self):
        """That one is right, and how long it is, to which all the others are held."""
        load = (self.case.warm or self.case.load) if self.case.fresh else self.case.load
        path, token = load.targets[0]
        answer = probe.ask(
            self._running.port, path, token, load.tls, load.method, load.body or None, dict(load.headers)
        )
        if answer.status != load.status or load.length not in (None, answer.body):
            raise Wrong(f"{path} is answered {answer.status} with {answer.body} bytes; see {self._running.child.log}")
        self._whole = answer.whole
        if load.tls:
            agreed = probe.agreed_in_tls(self._running.port, self._rig.openssl)
            if agreed != TLS_FOR_ALL:
                raise Wrong(f"agrees on {agreed} in TLS, should be {TLS_FOR_ALL}")

    def measure(self):
        with contextlib.ExitStack() as stack:
            if self.case.fresh:
                self._start(stack)
            if self.case.meanwhile:
                stack.enter_context(self.case.meanwhile(self._rig, self._running))
            before = self._running.cpu()
            counted = self._generator.run(self._running.port, self.case.seconds or self._rig.seconds)
            used = self._running.cpu().since(before)
            self._hold_lengths(counted)
            self._put(counted, used)

    def takes_turns(self):
        return self.gateway in self.case.closely

    def turns(self, stack):
        """Those who take turns for it, by the names of their figures."""
        if self.case.fresh:
            self._start(stack)
        yield "closely", turns.Asking(self._generator, self._running, self._hold_lengths)
        if self.case.beside:
            yield from self.case.beside(self._running)

    def _hold_lengths(self, counted):
        """The load generator adds up what it read; a field may vary by some bytes, and the last answers were cut off."""
        load = self.case.load
        if load.streams or load.tolerant:
            return
        least, most = (counted.requests * (self._whole + margin) for margin in (-4, 4))
        if not least <= counted.bytes <= most + load.connections * self._whole:
            raise Wrong(f"{counted.requests} answers of {self._whole} bytes came to {counted.bytes}")

    def _put(self, counted, used):
        each = {"cpu": used.total, "user": used.user, "system": used.system}
        each = {name: seconds / counted.requests * 1e6 for name, seconds in each.items()}
        # Of downloads also what the end of the run cut off has passed through; of uploads nobody counts it.
        body = len(self.case.load.body)
        moved = counted.requests * body if body else counted.bytes
        self._results.put(
            self.case.name, self.gateway, rate=counted.requests / counted.seconds, p50=counted.p50, p99=counted.p99,
            memory=self._running.memory(), busy=used.total / counted.seconds, failed=counted.failed,
            requests=counted.requests, bytes_a_cpu_second=moved / max(used.total, 0.01), **each,
        )  # fmt: skip
        print(
            f"  {self.case.name:14} {self.gateway:12} {each['cpu']:9.2f} us CPU {counted.requests / counted.seconds:9,.0f}/s",
            flush=True,
        )


def measure(rig, results, cases):
    """Measures these cases together, all of a gateway's one after the other."""
    with contextlib.ExitStack() as stack:
        entrants = []
        for case in cases:
            results.entitle(case.name, case.title)
        for gateway in rig.gateways:
            for case in (case for case in cases if gateway in case.gateways and not results.is_left_out(case.name, gateway)):
                entrant = Entrant(rig, case, gateway, results)
                if _succeeds(results, entrant, lambda: entrant.begin(stack)):
                    entrants.append(entrant)
        for _ in range(rig.rounds):
            entrants = [entrant for entrant in entrants if _succeeds(results, entrant, entrant.measure)]
            entrants.reverse()
            failed = turns.measure(rig, results, [entrant for entrant in entrants if entrant.takes_turns()])
            entrants = [entrant for entrant in entrants if entrant not in failed]


def _succeeds(results, entrant, what):
    case, gateway = entrant.case.name, entrant.gateway
    try:
        what()
        return True
    except Cannot:
        results.cannot(case, gateway)
    except (Wrong, OSError) as error:
        results.wrong(case, gateway, error)
    return False
