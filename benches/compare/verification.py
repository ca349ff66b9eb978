"""What one bare verification takes, for the bound of (b): measured by the benchmark `verify_bare` between the rounds, on the gateway's
core, so that what else the machine does falls on it as well."""

import os
import re
import statistics
import subprocess

from . import machine
from .keys import ALGORITHMS
from .load import Wrong
from .tools import TARGET

_LINE = re.compile(r"^verify_bare/(\w+)\s+time:\s+\[\S+ \S+ ([\d.]+) µs ", re.MULTILINE)


def find_program(named):
    """The program that measures: the one that is named, or the newest of the release build; None if there is none."""
    if named:
        return named
    built = [path for path in (TARGET / "release" / "deps").glob("tokens-*") if not path.suffix and os.access(path, os.X_OK)]
    return max(built, key=lambda path: path.stat().st_mtime, default=None)


class Bare:
    """Verifications by the library alone, in microseconds."""

    def __init__(self, program):
        self._program = program
        self._taken = {name: [] for name in ALGORITHMS}

    def measure(self, rig):
        """Once more; nothing without a program."""
        if not self._program:
            return
        command = ["taskset", "-c", machine.GATEWAY_CORE, self._program, "--bench", "verify_bare", "--noplot"]
        how_long = ["--warm-up-time", "0.2", "--measurement-time", "0.5" if rig.quick else "1", "--sample-size", "20"]
        home = rig.new_home("criterion")
        environment = os.environ | {"CRITERION_HOME": str(home)}
        done = subprocess.run([*command, *how_long], capture_output=True, text=True, env=environment, stdin=subprocess.DEVNULL)
        found = dict(_LINE.findall(done.stdout))
        if done.returncode or set(found) != set(ALGORITHMS):
            raise Wrong(f"{self._program} does not measure verify_bare: {(done.stderr or done.stdout).strip()[-300:]}")
        for name, microseconds in found.items():
            self._taken[name].append(float(microseconds))
        print("  bare          ", ", ".join(f"{name} {float(took):.1f} us" for name, took in found.items()), flush=True)

    def medians(self):
        """Of what was measured, by algorithm."""
        return {name: statistics.median(taken) for name, taken in self._taken.items() if taken}
