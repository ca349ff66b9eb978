"""The command: what it is told, and what it does in which order."""

import argparse
import os
import sys
import time
from pathlib import Path

from . import bounds, chart, children, machine, report, tools, turns, verification
from .control import control
from .gateways import GATEWAYS
from .load import Wrong
from .results import Results
from .rig import Rig, Standing
from .workloads import WORKLOADS, fresh, measure

_TEXT = """Measures Postern beside nginx, HAProxy and Envoy, on loopback: what a request costs in CPU, how many there are a second,
how long they take, and how much memory that needs.

The gateway has core 0 to itself, with one worker; the load and the upstream share core 1. Installs what is missing, and says
it before. A full run takes about three quarters of an hour."""

# So many rounds at once of each workload: what disturbs the machine for some minutes then falls on two rounds of those that have their turn,
# instead of on all. An even number, since every other round goes the other way round.
_PASS = 2


def _among(all_of_them):
    def chosen(text):
        names = text.split(",")
        unknown = [name for name in names if name not in all_of_them]
        if unknown:
            raise argparse.ArgumentTypeError(f"no {', '.join(unknown)}; there are {', '.join(all_of_them)}")
        return names

    return chosen


def _options():
    letters = "\n".join(f"  {letter:5} {title}" for letter, (_, title) in WORKLOADS.items())
    parser = argparse.ArgumentParser(
        prog="benches/compare/run", description=_TEXT, epilog=f"workloads:\n{letters}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--only", type=_among(WORKLOADS), default=list(WORKLOADS), metavar="a,b", help="these workloads")
    parser.add_argument("--gateways", type=_among(GATEWAYS), default=list(GATEWAYS), metavar="NAME,...", help=", ".join(GATEWAYS))
    parser.add_argument("--rounds", type=int, help="how often each is measured (8; memory of (g) once for every two)")
    parser.add_argument("--seconds", type=int, help="how long each time (1)")
    parser.add_argument("--quick", action="store_true", help="one round of a second: whether it works, not how fast")
    parser.add_argument("--binary", type=Path, default=tools.TARGET / "release" / "postern", help="the release build")
    parser.add_argument("--verification", type=Path, metavar="PROGRAM", help="the benchmark `bare`, for (b)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="writes all figures there")
    parser.add_argument("--svg", type=Path, metavar="FILE", default=tools.TARGET / "compare.svg", help="the chart (%(default)s)")
    parser.add_argument("--bounds", action="store_true", help="fails if a bound does not hold or was not measured")
    options = parser.parse_args()
    if options.verification and not os.access(options.verification, os.X_OK):
        parser.error(f"--verification {options.verification}: there is no such program")
    options.rounds = options.rounds or (1 if options.quick else 8)
    options.seconds = options.seconds or 1
    return options


def main():
    options = _options()
    if machine.CORES < 2:
        sys.exit("there must be two cores: one for the gateway and one for the load")
    children.end_with_this_program()
    begun = time.monotonic()
    bare = verification.find_program(options.verification)
    if bare:
        try:
            turns.Verifying(bare, "RS256").try_out()
        except Wrong as error:
            sys.exit(str(error))
    elif options.bounds and "b" in options.only:
        sys.exit("for the bound of (b) there must be a program that verifies: cargo bench --bench bare --no-run")
    there = tools.prepare(options.binary)
    description, results = machine.description(there), Results()
    for line in report.machine_lines(description):
        print(line)
    if options.bounds and not there.envoy and "envoy-jwt" in options.gateways:
        sys.exit("for the bounds beside Envoy there must be one; without it: --gateways postern,nginx,haproxy,haproxy-jwt")
    rig = Rig(there, None, options.seconds, options.quick, list(options.gateways), bare)
    needed = fresh.tokens_needed(options.seconds, options.quick) if "b" in options.only else {}
    with Standing(rig, needed):
        # This program is part of the load: it polls, and holds idle connections.
        os.sched_setaffinity(0, {int(machine.LOAD_CORE)})
        if not rig.awake:
            results.note("cores may fall asleep between requests: this program cannot keep them awake by /dev/cpu_dma_latency")
        control(rig, results)
        for done in range(0, options.rounds, _PASS):
            rounds = min(_PASS, options.rounds - done)
            print(f"rounds {done + 1} to {done + rounds} of {options.rounds}")
            with rig.in_a_pass_of(rounds):
                for letter in options.only:
                    print(f"({letter}) {WORKLOADS[letter][1]}", flush=True)
                    measure(letter, rig, results)
    rows = bounds.bounds(results)
    report.print_table(results, description, options.gateways)
    report.print_bounds(rows)
    if "b" in options.only and not options.quick and not bare:
        print("  for (b) run first: cargo bench --bench bare --no-run")
    drawn = chart.draw(results, description)
    if drawn:
        options.svg.write_text(drawn)
        print(f"\nchart: {options.svg}")
    if options.json:
        told = {"rounds": options.rounds, "seconds": options.seconds, "only": options.only, "awake": rig.awake}
        options.json.write_text(report.as_json(results, description, rows, told))
        print(f"figures: {options.json}")
    print(f"took {(time.monotonic() - begun) / 60:.0f} minutes")
    if results.faults():
        sys.exit("some of it could not be measured: see FAILED above")
    unmeasured = [row.title for row in rows if row.is_held() is None and row.is_among(options.only, options.gateways)]
    if options.bounds and unmeasured:
        sys.exit(f"not measured: {'; '.join(unmeasured)}; (b) takes more rounds, and a gateway that answers 5,000 requests a second")
    if options.bounds and all(row.is_held() is None for row in rows):
        sys.exit("no bound was measured: there is none of these workloads and gateways")
    if options.bounds and any(row.is_held() is False for row in rows):
        sys.exit("a bound does not hold")
