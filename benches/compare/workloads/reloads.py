"""(i) A reload every second, beside the same without: whether any request fails for it, and what it does to the slowest."""

import contextlib
import itertools
import threading

from ..load import Load, Wrong
from ..rounds import Case, measure as measure_cases
from ..servers import Setup, postern
from .warm import targets


# Over all rounds of a process no configuration follows the same one, which would be no reload.
_marks = itertools.cycle((1, 2))


def _applied(running):
    return postern.counted(running, "postern_config_reloads_total", '"applied"')


@contextlib.contextmanager
def every_second(rig, running):
    """Puts another configuration in its place each second, as `mv` does, and sees to it that they were taken up."""
    enough, written = threading.Event(), 0

    def write():
        nonlocal written
        while not enough.wait(1 if written else 0.5):
            written += 1
            text = postern.configuration(running.home, running.port, running.setup, rig, next(_marks))
            (running.home / "next.toml").write_text(text)
            (running.home / "next.toml").rename(running.home / "postern.toml")

    before = _applied(running)
    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        enough.set()
        writer.join()
    applied = _applied(running) - before
    # The last one may still be standing still for the moment that it has to.
    if applied < max(2, written - 1):
        raise Wrong(f"of {written} configurations that were written only {applied} were applied")


def measure(rig, results):
    load = Load(targets(rig), tolerant=True)
    cases = [
        Case(
            f"i-{name}", title, load, Setup(admin=True), ("postern",), meanwhile=meanwhile,
            seconds=max(3, rig.seconds),
        )
        for name, title, meanwhile in (
            ("still", "as (a), for comparison", None),
            ("reloads", "as (a), with a reload every second", every_second),
        )
    ]  # fmt: skip
    measure_cases(rig, results, cases)
