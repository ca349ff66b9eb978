"""The gateways that are compared: each file knows one product, how it is configured and what it can."""

from dataclasses import dataclass

ROUTES_A_SERVICE = 100


@dataclass(frozen=True)
class Setup:
    """What a gateway is to do in a workload."""

    enforce: bool = False
    algorithm: str = "RS256"
    tls: bool = False
    http2: bool = False
    routes: int = 0  # 0: one for /orders/, else so many, and /orders/ too
    workers: int = 1
    cores: str = ""  # else that of the gateway
    fixed_401: bool = False  # answer so, without an upstream
    issues: bool = False  # an embedded token endpoint
    admin: bool = False  # a listener that tells what it counts
    admin_port: int = 0  # chosen when it is started


class Cannot(Exception):
    """The product does not do what the setup asks for."""


def route_path(number):
    """The path below which a route of a large configuration stands."""
    return f"/v1/service{number // ROUTES_A_SERVICE}/resource{number % ROUTES_A_SERVICE}"
