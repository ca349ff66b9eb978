"""What one bare verification takes, for the bound of (b): measured by the benchmark `verify_bare` between the rounds, on the gateway's
core, so that what else the machine does falls on it as well."""

import json
import os
import statistics
import subprocess

from . import machine
from .keys import ALGORITHMS
from .load import Wrong
from .tools import TARGET


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

    def measure(self, rig, results):
        """Once more; nothing without a program, or where it is not about how fast something is."""
        if not self._program or rig.quick:
            return
        home = rig.new_home("criterion")
        command = ["taskset", "-c", machine.GATEWAY_CORE, self._program, "--bench", "verify_bare", "--noplot"]
        how_long = ["--warm-up-time", "0.2", "--measurement-time", "1", "--sample-size", "20"]
        environment = os.environ | {"CRITERION_HOME": str(home)}
        try:
            subprocess.run([*command, *how_long], capture_output=True, check=True, env=environment, stdin=subprocess.DEVNULL)
            found = {name: _median(home / "verify_bare" / name) for name in ALGORITHMS}
        except (OSError, subprocess.CalledProcessError) as error:
            results.wrong("b-bare", "postern", Wrong(f"{self._program} does not measure verify_bare: {error}"))
            self._program = None
            return
        for name, microseconds in found.items():
            self._taken[name].append(microseconds)
        print("  bare          ", ", ".join(f"{name} {took:.1f} us" for name, took in found.items()), flush=True)

    def medians(self):
        """Of what was measured, by algorithm."""
        return {name: statistics.median(taken) for name, taken in self._taken.items() if taken}


def _median(folder):
    estimates = json.loads((folder / "new" / "estimates.json").read_text(encoding="utf-8"))
    return estimates["median"]["point_estimate"] / 1000
