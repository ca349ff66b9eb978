"""The chart for the README: bars of CPU a request, drawn without a library, readable on a light ground and on a dark one."""

from xml.sax.saxutils import escape

from . import gateways, report
from .rounds import GATEWAYS

_SHOWN = ("a", "b-RS256", "b-ES256", "c", "d-kept", "f-10000", "h-none")
_WIDTH, _LEFT, _RIGHT, _BAR, _GAP = 860, 236, 150, 16, 5

# GitHub shows an image with the reader's preference for light or dark; without one, light.
_STYLE = """
text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328; }
.title { font-size: 15px; font-weight: 600; } .case { font-weight: 600; } .small { font-size: 10px; fill: #59636e; }
.end { text-anchor: end; } .ground { fill: #ffffff; } .ours { fill: #0969da; } .ours-system { fill: #54aeff; }
.other { fill: #6e7781; } .other-system { fill: #afb8c1; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; } .small { fill: #9198a1; } .ground { fill: #0d1117; }
  .ours { fill: #388bfd; } .ours-system { fill: #1f4f8f; } .other { fill: #8b949e; } .other-system { fill: #4b535d; }
}
"""


def _text(x, y, words, kind=""):
    return f'<text x="{x:g}" y="{y:g}" class="{kind}">{escape(words)}</text>'


def _bar(x, y, width, kind):
    return f'<rect x="{x:g}" y="{y:g}" width="{max(width, 0.5):.1f}" height="{_BAR}" class="{kind}"/>'


def _rows(results, case):
    for name in GATEWAYS:
        user, system = (results.median(case, name, part) for part in ("user", "system"))
        if user is not None:
            yield name, user, system


def _draw_case(results, case, y):
    rows = list(_rows(results, case))
    yield _text(12, y + 12, f"({case.partition('-')[0]}) {results.titles[case]}", "case"), 22
    # Each case has a scale of its own: what matters is how its bars compare.
    longest = max(user + system for _, user, system in rows)
    y += 22
    for name, user, system in rows:
        whose = "ours" if name == "postern" else "other"
        scale = (_WIDTH - _LEFT - _RIGHT) / longest if longest else 0
        parts = [
            _text(_LEFT - 8, y + 12, gateways.title(name), "end"),
            _bar(_LEFT, y, user * scale, whose),
            _bar(_LEFT + user * scale, y, system * scale, f"{whose}-system"),
            _text(_LEFT + (user + system) * scale + 6, y + 12, f"{user + system:.1f} us"),
        ]
        yield "\n".join(parts), _BAR + _GAP
        y += _BAR + _GAP
    yield "", 10


def draw(results, machine):
    """The chart as SVG, or None if nothing that it shows was measured."""
    cases = [case for case in _SHOWN if case in results.titles and list(_rows(results, case))]
    if not cases:
        return None
    y = 54
    parts = [
        _text(12, 24, "CPU of the gateway for each request", "title"),
        _text(12, 42, "microseconds on one core, less is better; left: user space, right: the kernel; each gateway in its own time", "small"),
    ]
    for case in cases:
        for part, height in _draw_case(results, case, y):
            parts.append(part)
            y += height
    for line in report.machine_lines(machine):
        parts.append(_text(12, y + 10, line, "small"))
        y += 14
    height = y + 12
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" role="img">'
    ground = f'<rect width="{_WIDTH}" height="{height}" rx="6" class="ground"/>'
    title = "<title>CPU of the gateway for each request, by gateway and workload</title>"
    return "\n".join([head, title, f"<style>{_STYLE}</style>", ground, *filter(None, parts), "</svg>", ""])
