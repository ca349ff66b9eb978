"""A gateway that runs: started on its cores, waited for, asked whether it does what it should, and counted."""

import socket
import time
from dataclasses import dataclass, replace

from . import machine, probe
from .children import Child
from .load import Wrong
from .servers import envoy, haproxy, nginx, postern

# In the order of the tables: how each is called, whose it is, and whether it looks at tokens.
GATEWAYS = {
    "postern": ("Postern, enforcing", postern, True),
    "nginx": ("nginx, plain", nginx, False),
    "haproxy": ("HAProxy, plain", haproxy, False),
    "haproxy-jwt": ("HAProxy, jwt_verify", haproxy, True),
    "envoy": ("Envoy, plain", envoy, False),
    "envoy-jwt": ("Envoy, jwt_authn + cache + RBAC", envoy, True),
}
ENFORCING = [name for name, (_, _, enforces) in GATEWAYS.items() if enforces]


def title(name):
    return GATEWAYS[name][0]


@dataclass
class Running:
    """A gateway that answers."""

    name: str
    child: Child
    port: int
    home: object
    setup: object
    started_in: float  # seconds

    def cpu(self):
        return machine.cpu(self.child.pid)

    def clocks(self):
        return machine.clocks(self.child.pid)

    def memory(self):
        return machine.resident_bytes(self.child.pid)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.stop()


def _is_ready(rig, setup, port, child):
    tls = setup.tls
    if setup.issues:
        return probe.until_answered(port, "/oauth/token", tls=tls, wanted=405, gone=child.ended)
    if setup.fixed_401:
        return probe.until_answered(port, "/", tls=tls, wanted=401, gone=child.ended)
    if setup.http2:
        # Some of them speak nothing else then; those who look at answers come later.
        return _accepts(port, child)
    token = rig.keys.first(f"good-{setup.algorithm}")
    return probe.until_answered(port, "/orders/7", token, tls, gone=child.ended)


def _accepts(port, child):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and not child.ended():
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True
        except OSError:
            time.sleep(0.002)
    return False


def start(rig, name, setup):
    """Raises `Cannot` where the product does not do that, and `Wrong` with its log where it does not run."""
    _, product, enforces = GATEWAYS[name]
    admin_port = machine.free_port() if setup.admin else 0
    setup = replace(setup, enforce=enforces and not setup.fixed_401 and not setup.issues, admin_port=admin_port)
    home, port = rig.new_home(name), machine.free_port()
    command = product.command(home, port, setup, rig)
    begun = time.monotonic()
    child = Child(setup.cores or machine.GATEWAY_CORE, command, home / "log", folder=home)
    try:
        if not _is_ready(rig, setup, port, child):
            raise Wrong(f"it does not run; its last words:\n{child.last_words()}")
        return Running(name, child, port, home, setup, time.monotonic() - begun)
    except BaseException:
        child.stop()
        raise
