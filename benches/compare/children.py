"""Child processes on chosen cores that never outlive this program, however it ends."""

import atexit
import os
import signal
import subprocess
import time

_living = set()


class Child:
    """A process in a group of its own, ended when the block ends; by the kernel, should this program be killed."""

    def __init__(self, cores, command, log, folder=None, environment=None):
        # The parent's death is told to the child by the kernel; taskset and exec keep that.
        pinned = ["setpriv", "--pdeathsig", "TERM", "taskset", "-c", cores, *map(str, command)]
        environment = {**os.environ, **(environment or {})}
        with open(log, "ab") as output:
            self.process = subprocess.Popen(
                pinned, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=folder, env=environment,
                start_new_session=True,
            )  # fmt: skip
        self.log = log
        self.pid = self.process.pid
        _living.add(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def ended(self):
        return self.process.poll() is not None

    def last_words(self, lines=12):
        with open(self.log, errors="replace") as log:
            return "".join(f"    {line}" for line in log.readlines()[-lines:]).rstrip() or "    (it said nothing)"

    def stop(self):
        if self not in _living:
            return
        self._tell(signal.SIGTERM)
        deadline = time.monotonic() + 5
        while not self.ended() and time.monotonic() < deadline:
            time.sleep(0.02)
        # Also those of the group that the first of them left behind.
        self._tell(signal.SIGKILL)
        self.process.wait()
        _living.discard(self)

    def _tell(self, what):
        try:
            os.killpg(self.pid, what)
        except ProcessLookupError:
            pass


def _end_all():
    for child in list(_living):
        child.stop()


def end_with_this_program():
    """Being told to stop, this program goes through its blocks' ends, like on any other way out."""
    atexit.register(_end_all)

    def leave(number, _frame):
        raise SystemExit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)
