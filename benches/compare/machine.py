"""The machine: its cores, and what the kernel has counted for a process. Numbers of CPU time are in seconds, of memory in bytes."""

import datetime
import os
import platform
import re
import resource
import socket
import subprocess
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

CORES = os.cpu_count()
GATEWAY_CORE, LOAD_CORE = "0", "1"
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def processes(pid):
    """A process and all that descend from it."""
    found = [pid]
    for each in found:
        try:
            threads = list(Path(f"/proc/{each}/task").iterdir())
            found += [int(child) for thread in threads for child in (thread / "children").read_text().split()]
        except OSError:
            continue
    return found


@dataclass(frozen=True)
class Cpu:
    """What a process and its children have used so far, all their threads, also threads that have ended; in seconds."""

    total: float  # to the nanosecond
    user: float  # in ticks of the kernel's, mostly of 10 ms
    system: float

    def since(self, before):
        """What has been used since, the total divided as the ticks were."""
        total, user, system = self.total - before.total, self.user - before.user, self.system - before.system
        part = user / (user + system) if user + system else 0.5
        return Cpu(total, total * part, total * (1 - part))


def clocks(pid):
    """Those of the CPU time of a process and its children, as `clock_getcpuclockid` makes them on Linux."""
    return [(~each << 3) | 2 for each in processes(pid)]


def cpu(pid):
    user = system = 0
    for each in processes(pid):
        fields = Path(f"/proc/{each}/stat").read_text().rsplit(")", 1)[1].split()
        user, system = user + int(fields[11]), system + int(fields[12])
    total = sum(time.clock_gettime(clock) for clock in clocks(pid))
    return Cpu(total, user / _TICKS_PER_SECOND, system / _TICKS_PER_SECOND)


def threads(pid, named):
    """By their numbers, the seconds of CPU so far of the threads of a process whose names begin so; in ticks of the kernel's."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            name, _, rest = (task / "stat").read_text().partition(" (")[2].rpartition(") ")
        except OSError:
            continue  # it has ended
        fields = rest.split()
        if name.startswith(named):
            found[int(task.name)] = (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND
    return found


def resident_bytes(pid):
    """Resident memory of a process and its children; each page that several processes share is counted in parts."""
    total = 0
    for each in processes(pid):
        text = Path(f"/proc/{each}/smaps_rollup").read_text()
        total += int(re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE).group(1)) * 1024
    return total


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def allow_descriptors(wanted):
    """Raises the limit for this program and its children, beyond the hard one if the kernel lets it; returns what it is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in (max(wanted, hard), hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
            return limit
        except (ValueError, OSError):
            continue
    return soft


@contextmanager
def awake_cores():
    """Asks the kernel to let no core sleep meanwhile; gives whether it does so.

    The callers' core would sleep between requests that take the gateway long, and to wake it takes the gateway an interrupt that it
    does not need where requests take it less: the difference of the two would be partly of that."""
    with ExitStack() as held:
        try:
            quickest = Path("/sys/devices/system/cpu/cpu0/cpuidle/state0/name").read_text().strip()
            file = held.enter_context(open("/dev/cpu_dma_latency", "wb", buffering=0))
            file.write(bytes(4))  # how long waking may take, in microseconds
            is_awake = quickest == "POLL"  # elsewhere even the quickest way to idle is a sleep
        except OSError:
            is_awake = False
        yield is_awake


def _says(command, pattern):
    try:
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=30)
        found = re.search(pattern, done.stdout + done.stderr)
        return found.group(1) if found else "unknown"
    except (OSError, subprocess.TimeoutExpired):
        return "not there"


def description(tools):
    """What a reader must know to compare figures of this run with others."""
    model = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text())
    return {
        "cpu": model.group(1).strip() if model else platform.machine(),
        "cores": CORES,
        "memory_gib": round(int(memory.group(1)) / 1024**2, 1),
        "kernel": platform.release(),
        "date": datetime.date.today().isoformat(),
        "versions": {
            "postern": _says([tools.postern, "--version"], r"postern (\S+)"),
            "nginx": _says(["nginx", "-v"], r"nginx/(\S+)"),
            "haproxy": _says(["haproxy", "-v"], r"version (\S+)"),
            "envoy": _says([tools.envoy, "--version"], r"/([\d.]+)/") if tools.envoy else "not there",
            "wrk": _says(["wrk", "--version"], r"wrk (?:debian/)?(\S+)"),
            "h2load": _says(["h2load", "--version"], r"nghttp2/(\S+)"),
            "openssl": _says(["openssl", "version"], r"OpenSSL (\S+)"),
        },
    }
