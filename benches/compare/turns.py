"""What is compared closely takes turns of a fifth of a second: one asks while the others stand still.

What else the machine does changes from one tenth of a second to the next, and can make the same code half as dear again. Measured one
second after the other, two gateways that differ by a twentieth need a lucky hour to show it; taking turns, both have the same hour.
"""

import contextlib
import json
import signal
import subprocess
import time

from . import machine
from .load import Wrong

SECONDS = 0.2  # a turn
CYCLES = 10  # in a round
CYCLES_OF_FRESH_ONES = 5  # more would need too many tokens
TARGETS_A_SECOND = 100_000  # are read by wrk, or more
_LOOK = 0.005  # seconds
_SETTLED = 0.0002  # seconds of CPU in a look at most, of a gateway that nobody asks
_LONGEST_SETTLE = 1.0  # seconds


class Asking:
    """Callers of a gateway. What it uses from the beginning of their turn until it has nothing to do is charged to them. `holds`
    raises `Wrong` for what was counted, if something is."""

    def __init__(self, generator, running, holds=lambda counted: None):
        self._generator, self._running, self._holds = generator, running, holds
        self._used = 0.0
        self._before = running.cpu()
        self._process = generator.begin(running.port, running.clocks())

    def begin(self):
        time.sleep(len(self._generator.load.targets) / TARGETS_A_SECOND)
        self._go_on()

    def turn(self):
        self._before = self._running.cpu()
        self._process.send_signal(signal.SIGCONT)
        self._go_on()

    def _go_on(self):
        time.sleep(SECONDS)
        self._process.send_signal(signal.SIGSTOP)
        deadline, known = time.monotonic() + _LONGEST_SETTLE, self._running.cpu()
        while time.monotonic() < deadline:
            time.sleep(_LOOK)
            now = self._running.cpu()
            if now.since(known).total < _SETTLED:
                break
            known = now
        self._charge()

    def _charge(self):
        self._used += self._running.cpu().since(self._before).total

    def end(self):
        """Microseconds a request: of all, and in blocks."""
        self._before = self._running.cpu()
        self._process.send_signal(signal.SIGCONT)
        counted = self._generator.ended(self._process)
        self._charge()
        self._holds(counted)
        return self._used / counted.requests * 1e6, counted.blocks

    def abandon(self):
        self._process.kill()
        self._process.wait()


class Verifying:
    """Verifications by the library alone, on the gateway's core."""

    def __init__(self, program, algorithm):
        command = ["setpriv", "--pdeathsig", "KILL", "taskset", "-c", machine.GATEWAY_CORE, program, "turns", algorithm]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self._process = subprocess.Popen([*map(str, command)], **pipes)
        self._turns = []

    def try_out(self):
        """Raises `Wrong` if the program is another one."""
        try:
            self.begin()
        finally:
            self.abandon()

    def begin(self):
        self._hear()

    def turn(self):
        before = machine.cpu(self._process.pid)
        print(int(SECONDS * 1000), file=self._process.stdin, flush=True)
        verified = self._hear()
        self._turns.append((machine.cpu(self._process.pid).since(before).total * 1e6, verified))

    def _hear(self):
        said = self._process.stdout.readline()
        try:
            return json.loads(said)["verified"]
        except (ValueError, KeyError, TypeError) as error:
            raise Wrong(f"{self._process.args[-3]} is not the benchmark `bare`: it says {said!r}") from error

    def end(self):
        """Microseconds a verification: of all, and in blocks."""
        self.abandon()
        used, verified = (sum(each) for each in zip(*self._turns))
        return used / verified, [used / verified for used, verified in self._turns]

    def abandon(self):
        self._process.kill()
        self._process.communicate()


def measure(rig, results, entrants):
    """One round; returns those who failed. Fresh ones stand for this alone, each with what is beside it; all others take turns with each
    other."""
    groups = [([entrant], CYCLES_OF_FRESH_ONES) for entrant in entrants if entrant.case.fresh]
    groups.append(([entrant for entrant in entrants if not entrant.case.fresh], CYCLES))
    return [failed for group, cycles in groups if (failed := _measure_group(results, group, 1 if rig.quick else cycles))]


def _measure_group(results, group, cycles):
    """Whose fault it was that it could not be done; `None` if it could, or if there is nobody to take turns with."""
    if len(group) < 2 and not any(entrant.case.beside for entrant in group):
        return None
    with contextlib.ExitStack() as stack:
        taking_part = []
        entrant = None
        try:
            for entrant in group:
                for name, participant in entrant.turns(stack):
                    stack.callback(participant.abandon)
                    participant.begin()
                    taking_part.append((entrant, name, participant))
            for _ in range(cycles):
                for entrant, _, participant in taking_part:
                    participant.turn()
                taking_part.reverse()
            taken = []
            for entrant, name, participant in taking_part:
                taken.append((entrant, name, *participant.end()))
        except (Wrong, OSError) as error:
            results.wrong(entrant.case.name, entrant.gateway, f"while it took turns: {error}")
            return entrant
    for entrant, name, microseconds, blocks in taken:
        case, gateway = entrant.case.name, entrant.gateway
        results.put(case, gateway, **{name: microseconds})
        results.put_blocks(case, gateway, name, blocks)
        print(f"  {case:14} {gateway:12} {microseconds:9.2f} us CPU in turns ({name})", flush=True)
    return None
