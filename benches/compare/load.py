"""The load: wrk for HTTP/1.1, h2load for HTTP/2, and a program of our own for handshakes, on the load's core; and what they
counted. Times are in microseconds."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from . import machine

_LUA = Path(__file__).with_name("load.lua")


class Wrong(Exception):
    """An answer was not what it should have been."""


@dataclass
class Load:
    """Requests, over and over: each of `targets` in turn, which are pairs of path and token."""

    targets: list
    connections: int = 64
    method: str = "GET"
    headers: tuple = ()
    body: bytes = b""
    tls: bool = False
    streams: int = 0  # at a time on each connection; 0: HTTP/1.1
    handshakes: bool = False  # each request on a connection of its own, with a whole handshake
    once: bool = False  # each target once at most
    status: int = 200
    length: int | None = 200  # of the body; None: any
    tolerant: bool = False  # failures are counted, not raised
    threads: int = 1
    cores: str = machine.LOAD_CORE


@dataclass
class Counted:
    requests: int
    seconds: float
    p50: float
    p99: float
    bytes: int
    failed: int
    used: int = 0
    by: dict = field(default_factory=dict)
    blocks: list = field(default_factory=list)  # microseconds of the gateway's CPU for each request, in parts of the time


class Generator:
    """A load, written down so that a program can read it."""

    def __init__(self, load, rig):
        self.load, self._rig = load, rig
        self._home = rig.new_home("load")
        self._environment = {**os.environ, "OPENSSL_CONF": str(rig.openssl)}
        requests = [f"{path} {token or '-'}\n" for path, token in load.targets]
        (self._home / "requests").write_text("".join(requests))
        (self._home / "body").write_bytes(load.body)
        (self._home / "headers").write_text("".join(f"{name}: {value}\r\n" for name, value in load.headers))

    def run(self, port, seconds, warming=False):
        if self.load.streams:
            counted = self._h2load(port, seconds)
        elif self.load.handshakes:
            counted = self._handshakes(port, seconds)
        else:
            counted = self._wrk(port, seconds)
        return counted if warming and counted.requests == 0 else self._looked_at(counted)

    def _looked_at(self, counted):
        if counted.requests == 0:
            raise Wrong(f"nothing was answered: {counted.by}")
        if counted.failed and not self.load.tolerant:
            raise Wrong(f"{counted.failed} of {counted.requests} failed: {counted.by}")
        return counted

    def begin(self, port, clocks):
        """Asks until it is told to stop by SIGINT, over HTTP/1.1; `clocks` say what CPU time is told in blocks."""
        if self.load.streams or self.load.handshakes or self.load.threads != 1:
            raise ValueError("only wrk with one thread can be begun and ended")
        # Who stands still would not heed a milder signal.
        command = self._pinned([*self._wrk_command(port, 3600), *clocks], "KILL")
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self._environment)

    def ended(self, process):
        """Ends a process that was begun; what it counted."""
        for _ in range(20):
            # If another of its threads hears of it than the one that waits, that ends, and the next time there is only the one.
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                out, error = process.communicate(timeout=0.5)
                break
        else:
            raise Wrong("wrk does not stop when it is told to")
        if process.returncode != 0:
            raise Wrong(f"wrk failed: {(error or out)[-500:]}")
        return self._looked_at(self._heard(out))

    def _pinned(self, command, with_parent="TERM"):
        return ["setpriv", "--pdeathsig", with_parent, "taskset", "-c", self.load.cores, *map(str, command)]

    def _run(self, command):
        done = subprocess.run(self._pinned(command), capture_output=True, text=True, env=self._environment)
        if done.returncode != 0:
            raise Wrong(f"{command[0]} failed: {(done.stderr or done.stdout)[-500:]}")
        return done.stdout

    def _wrk(self, port, seconds):
        return self._heard(self._run(self._wrk_command(port, seconds)))

    def _wrk_command(self, port, seconds):
        load = self.load
        scheme = "https" if load.tls else "http"
        return [
            "wrk", f"-t{load.threads}", f"-c{load.connections}", f"-d{seconds}s", "--timeout", "20s", "-s", _LUA,
            f"{scheme}://127.0.0.1:{port}/", "--", self._home, load.method,
        ]  # fmt: skip

    def _handshakes(self, port, seconds):
        program = Path(__file__).with_name("handshakes.py")
        return self._heard(self._run([sys.executable, "-B", program, self._home, port, seconds, self.load.connections]))

    def _heard(self, out):
        load, said = self.load, _last_words(out)
        errors = said["errors"]
        if load.status >= 400:
            # wrk calls these errors; here the others would be.
            errors["not refused"] = said["requests"] - errors.pop("status")
        # At the end one is under way on each connection, and wrk looks at one before it begins. Others were lost with their connections.
        known = said["requests"] + load.connections + 1 + errors["read"] + errors["write"]
        errors["unanswered"] = max(0, said["used"] - known)
        failed = sum(errors.values())
        if load.once and said["used"] > len(load.targets):
            raise Wrong(f"only {len(load.targets)} tokens for {said['used']} requests")
        return Counted(
            said["requests"], said["microseconds"] / 1e6, said["p50"], said["p99"], said["bytes"], failed, said["used"],
            errors, _blocks(said.get("marks", [])),
        )  # fmt: skip

    def _h2load(self, port, seconds):
        load, log = self.load, self._home / "times"
        log.unlink(missing_ok=True)
        path, token = load.targets[0]
        out = self._run(
            ["h2load", "-t1", f"-c{load.connections}", f"-m{load.streams}", f"-D{seconds}", f"--log-file={log}",
             "-H", f"authorization: Bearer {token}", f"http://127.0.0.1:{port}{path}"]
        )  # fmt: skip
        done, good, failed, errored, timeout = (
            int(re.search(rf"(\d+) {word}", out).group(1))
            for word in ("done", "succeeded", "failed", "errored", "timeout")
        )
        data = int(re.search(r"\((\d+)\) data", out).group(1))
        # Time of start, status, duration; streams that the end of the run cut off have a status of -1.
        rows = [line.split("\t") for line in log.read_text().splitlines()]
        times = sorted(int(row[2]) for row in rows if row[1] == str(load.status))
        wrong = {row[1] for row in rows} - {str(load.status), "-1"}
        if wrong or not times:
            raise Wrong(f"answers with the status {wrong or 'of nobody'}")
        if load.length is not None and data < done * load.length:
            raise Wrong(f"{done} answers have {data} bytes of bodies")
        return Counted(
            len(times), float(seconds), times[len(times) // 2], times[len(times) * 99 // 100], data,
            max(0, done - good), 0, {"failed": failed, "errored": errored, "timeout": timeout},
        )  # fmt: skip


def _last_words(out):
    """What load.lua or handshakes.py says at its end."""
    try:
        return json.loads(out[out.index('{"requests') :].splitlines()[0])
    except (ValueError, IndexError) as error:
        raise Wrong(f"the load generator ended with other words than it should: {out[-500:]!r}") from error


def _blocks(marks):
    """From each mark to the next, but not over the time in which it stood still: requests, nanoseconds, and whether it begins there."""
    both = zip(marks, marks[1:])
    return [(cpu - before) / (count - first) / 1e3 for (first, before, _), (count, cpu, begins) in both if not begins]
