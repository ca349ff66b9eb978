"""What is compared closely takes turns of a fifth of a second: one asks while the others stand still.

What else the machine does changes from one tenth of a second to the next, and can make the same code half as dear again. Measured one
second after the other, two gateways that differ by a twentieth need a lucky hour to show it; taking turns, both have the same hour.
"""

import json
import signal
import subprocess
import time

from . import machine
from .load import Wrong

SECONDS = 0.2  # a turn
CYCLES = 10  # in a round
CYCLES_OF_FRESH_ONES = 5  # else so many tokens would have to be made
_SETTLES = 0.01  # seconds until a gateway has answered what was asked before its callers stood still


class Asking:
    """Callers of a gateway. What it uses from the beginning of their turn to its end is charged to them."""

    def __init__(self, generator, running):
        self._generator, self._running = generator, running
        self._used = 0.0
        before = running.cpu()
        self._process = generator.begin(running.port, running.clocks())
        time.sleep(SECONDS)
        self._stand_still(before)

    def turn(self):
        before = self._running.cpu()
        self._process.send_signal(signal.SIGCONT)
        time.sleep(SECONDS)
        self._stand_still(before)

    def _stand_still(self, before):
        self._process.send_signal(signal.SIGSTOP)
        time.sleep(_SETTLES)
        self._used += self._running.cpu().since(before).total

    def end(self):
        """Microseconds a request: of all, and in blocks."""
        before = self._running.cpu()
        self._process.send_signal(signal.SIGCONT)
        counted = self._generator.ended(self._process)
        self._used += self._running.cpu().since(before).total
        return self._used / counted.requests * 1e6, counted.blocks

    def abandon(self):
        self._process.kill()
        self._process.wait()


class Verifying:
    """Verifications by the library alone, on the gateway's core."""

    def __init__(self, program, algorithm):
        command = ["setpriv", "--pdeathsig", "TERM", "taskset", "-c", machine.GATEWAY_CORE, program, algorithm]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self._process = subprocess.Popen([*map(str, command)], **pipes)
        self._turns = []
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
        except (ValueError, KeyError) as error:
            raise Wrong(f"{self._process.args[-2]} is not the benchmark `bare`: it says {said!r}") from error

    def end(self):
        """Microseconds a verification: of all, and in blocks."""
        self.abandon()
        used, verified = (sum(each) for each in zip(*self._turns))
        return used / verified, [used / verified for used, verified in self._turns]

    def abandon(self):
        self._process.kill()
        self._process.communicate()


def take(participants, cycles):
    """What each of them took, and in blocks: `participants` by name. Every other time they go the other way round."""
    for _ in range(cycles):
        for each in participants.values():
            each.turn()
        participants = dict(reversed(participants.items()))
    return {name: each.end() for name, each in participants.items()}
