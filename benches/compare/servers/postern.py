"""Postern: enforces. It is never measured without looking at tokens."""

import re
import urllib.request

from . import Cannot, route_path
from ..keys import AUDIENCE
from ..load import Wrong

SECRET = "the-secret-of-billing-which-is-long-enough"

_MAIN = """
[process]
workers = {workers}
max_requests = 100_000
[telemetry]
access_log = "off"
log_level = "warn"
[listeners.public]
address = "127.0.0.1:{port}"
{tls}
[listeners.public.limits]
connections = 30_000
connections_per_peer = 30_000
idle_timeout = "600s"
body_bytes = "64MiB"
http2_streams = 256
"""

_ENFORCES = """
[issuers.bench]
issuer = "{issuer}"
jwks_uri = "{issuer}/jwks.json"
audience = "{audience}"
[upstreams.orders]
endpoints = ["http://127.0.0.1:{upstream}"]
max_connections = 4096
[routes.health]
path = "/healthz"
upstream = "orders"
public = true
"""

_ROUTE = """
[routes.{name}]
path = "{path}/{{*rest}}"
upstream = "orders"
[routes.{name}.require]
scopes = ["orders:read"]
[routes.{name}.identity]
headers = {{ "x-client-id" = "client_id" }}
"""

_ISSUES = """
[issuers.own]
embedded = true
audience = "{audience}"
[token_endpoints.oauth]
path = "/oauth/token"
serve = "embedded"
[authorization_server]
issuer = "https://issuer.test/"
store = "sqlite:data/postern.db"
[authorization_server.signing]
algorithm = "ES256"
[authorization_server.apis."{audience}"]
scopes = ["orders:read", "orders:write"]
[authorization_server.clients.billing]
secret = "{secret}"
grants = {{ "{audience}" = ["orders:read", "orders:write"] }}
"""


def configuration(home, port, setup, rig, mark=0):
    """The text of a configuration. Those with different marks differ in what a route requires."""
    tls = ""
    if setup.tls:
        tls = (
            f'[listeners.public.tls]\ncertificate = "{rig.keys.file("tls.pem")}"\n'
            f'private_key = "{rig.keys.file("tls.key")}"'
        )
    text = _MAIN.format(workers=setup.workers, port=port, tls=tls)
    if setup.admin_port:
        text += f'[admin]\naddress = "127.0.0.1:{setup.admin_port}"\n'
    if setup.issues:
        return text + _ISSUES.format(audience=AUDIENCE, secret=SECRET)
    text += _ENFORCES.format(issuer=rig.keys.issuer, audience=AUDIENCE, upstream=rig.upstream_port)
    text += _ROUTE.format(name="orders", path="/orders")
    for number in range(setup.routes):
        text += _ROUTE.format(name=f"r{number}", path=route_path(number))
    if mark:
        text += _ROUTE.format(name=f"mark{mark}", path=f"/mark/{mark}")
    return text


def command(home, port, setup, rig):
    if not (setup.enforce or setup.issues):
        raise Cannot
    config = home / "postern.toml"
    config.write_text(configuration(home, port, setup, rig))
    return [rig.tools.postern, "serve", "-c", config]


def counted(running, name, label=""):
    """One of its counters, by the name and what is among its labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{running.setup.admin_port}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    found = re.search(rf"^{name}(?:\{{[^}}]*{label}[^}}]*\}})? (\d+)$", text, re.MULTILINE)
    if not found:
        raise Wrong(f"it does not tell {name}")
    return int(found.group(1))
