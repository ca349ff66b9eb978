"""The figures as a table for people and as JSON for programs."""

import json

from . import gateways

_COLUMNS = (
    ("req/s", "rate", lambda value: f"{value:,.0f}"),
    ("CPU us", "cpu", lambda value: f"{value:.2f}"),
    ("user", "user", lambda value: f"{value:.2f}"),
    ("system", "system", lambda value: f"{value:.2f}"),
    ("p50 ms", "p50", lambda value: f"{value / 1000:.2f}"),
    ("p99 ms", "p99", lambda value: f"{value / 1000:.2f}"),
    ("MiB", "memory", lambda value: f"{value / 1024**2:.1f}"),
)
# What only some workloads have.
_FURTHER = (
    ("GB/CPU s", "bytes_a_cpu_second", lambda value: f"{value / 1e9:.2f}"),
    ("KiB/conn", "connection_bytes", lambda value: f"{value / 1024:.2f}"),
    ("ms", "milliseconds", lambda value: f"{value:.0f}"),
    ("failed", "failed", lambda value: f"{value:.0f}"),
    ("in turns us", "closely", lambda value: f"{value:.2f}"),
    ("known", "known", lambda value: f"{value:.2f}"),
    ("bare", "bare", lambda value: f"{value:.2f}"),
)
_SHOWN_IN = {"bytes_a_cpu_second": "e-", "failed": "i-"}


def _columns(results, case):
    there = {name for (of, _), figures in results.figures.items() if of == case for name in figures}
    further = [column for column in _FURTHER if column[1] in there and case.startswith(_SHOWN_IN.get(column[1], ""))]
    return [column for column in _COLUMNS if column[1] in there] + further


def _row(results, case, gateway, columns):
    if (case, gateway) not in results.figures:
        why = results.absent.get((case, gateway), True)
        return ["-"] * (len(columns) + 1) if why is True else ["failed", *["-"] * len(columns)]
    values = [results.median(case, gateway, name) for _, name, _ in columns]
    main = "cpu" if "cpu" in results.figures[case, gateway] else columns[-1][1]
    spread = results.spread(case, gateway, main)
    cells = ["-" if value is None else show(value) for value, (_, _, show) in zip(values, columns)]
    return [*cells, "-" if spread is None else f"{spread:.0%}"]


def _aligned(rows):
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    for first, *others in rows:
        cells = [f"{cell:>{width}}" for cell, width in zip(others, widths[1:])]
        yield "  ".join([f"{first:{widths[0]}}", *cells])


def machine_lines(machine):
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    yield f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, Linux {machine['kernel']}, {machine['date']}"
    yield versions


def print_table(results, machine, asked):
    print("\nMedians of the rounds; CPU is microseconds of the gateway's user and system time for each request; the")
    print("spread is that of CPU (or of the last column): from the least round to the most, as a part of the median. What takes turns")
    print("has that figure, too: of (b) with the tokens of (a) as `known` and verifications by the library alone as `bare`.\n")
    for line in machine_lines(machine):
        print(line)
    for case, title in results.titles.items():
        columns = _columns(results, case)
        print(f"\n{case}: {title}")
        rows = [["", *(head for head, _, _ in columns), "spread"]]
        rows += [[gateways.title(name), *_row(results, case, name, columns)] for name in asked]
        for line in _aligned(rows):
            print(f"  {line}".rstrip())
    for note in results.notes:
        print(f"\nnote: {note}")
    for (case, gateway), what in results.faults():
        print(f"\nFAILED {case} {gateway}: {what}")


def print_bounds(rows):
    print("\nBounds")
    table = [["", "figure", "half of the rounds", "bound", ""]]
    table += [[row.title, row.shown(), row.half_shown(), row.limit_shown(), row.verdict()] for row in rows]
    for line in _aligned(table):
        print(f"  {line}".rstrip())


def as_json(results, machine, bounds, options):
    cases = []
    for case, title in results.titles.items():
        figures = {gateway: values for (of, gateway), values in results.figures.items() if of == case}
        blocks = {gateway: values for (of, gateway), values in results.blocks.items() if of == case}
        medians = {gateway: {name: results.median(case, gateway, name) for name in figures[gateway]} for gateway in figures}
        cases.append({"case": case, "title": title, "medians": medians, "rounds": figures, "blocks": blocks})
    document = {
        "machine": machine,
        "options": options,
        "cases": cases,
        "bounds": [row.as_json() for row in bounds],
        "notes": results.notes,
        "failed": [{"case": case, "gateway": gateway, "what": what} for (case, gateway), what in results.faults()],
    }
    return json.dumps(document, indent=1) + "\n"
