"""Envoy: proxies without looking, or verifies tokens with jwt_authn, which keeps what it verified, and looks at the scope by RBAC."""

import json

from . import Cannot, route_path
from ..keys import AUDIENCE

_TYPES = "type.googleapis.com/envoy.extensions"
_HTTP = f"{_TYPES}.filters.http"


def _verifies(rig):
    provider = {
        "issuer": rig.keys.issuer,
        "audiences": [AUDIENCE],
        "local_jwks": {"filename": str(rig.keys.file("jwks.json"))},
        "payload_in_metadata": "claims",
        "normalize_payload_in_metadata": {"space_delimited_claims": ["scope"]},
        "claim_to_headers": [{"header_name": "x-client-id", "claim_name": "client_id"}],
        "jwt_cache_config": {"jwt_cache_size": 100_000},
    }
    ours = [{"match": {"prefix": prefix}, "requires": {"provider_name": "bench"}} for prefix in ("/orders/", "/v1/")]
    typed = {"@type": f"{_HTTP}.jwt_authn.v3.JwtAuthentication", "providers": {"bench": provider}, "rules": ours}
    return {"name": "envoy.filters.http.jwt_authn", "typed_config": typed}


def _scope_rule():
    scope = {
        "filter": "envoy.filters.http.jwt_authn",
        "path": [{"key": "claims"}, {"key": "scope"}],
        "value": {"list_match": {"one_of": {"string_match": {"exact": "orders:read"}}}},
    }
    open_path = {"url_path": {"path": {"exact": "/healthz"}}}
    policies = {
        "scope": {"permissions": [{"any": True}], "principals": [{"metadata": scope}]},
        "open": {"permissions": [open_path], "principals": [{"any": True}]},
    }
    typed = {"@type": f"{_HTTP}.rbac.v3.RBAC", "rules": {"action": "ALLOW", "policies": policies}}
    return {"name": "envoy.filters.http.rbac", "typed_config": typed}


def _tls(rig):
    chain = {
        "certificate_chain": {"filename": str(rig.keys.file("tls.pem"))},
        "private_key": {"filename": str(rig.keys.file("tls.key"))},
    }
    parameters = {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"}
    typed = {
        "@type": f"{_TYPES}.transport_sockets.tls.v3.DownstreamTlsContext",
        "common_tls_context": {"tls_certificates": [chain], "tls_params": parameters, "alpn_protocols": ["http/1.1"]},
    }
    return {"name": "envoy.transport_sockets.tls", "typed_config": typed}


def _routes(setup):
    prefixes = ["/orders/", "/healthz", *(f"{route_path(number)}/" for number in range(setup.routes))]
    return [{"match": {"prefix": prefix}, "route": {"cluster": "upstream", "timeout": "60s"}} for prefix in prefixes]


def _address(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _cluster(rig):
    endpoint = {"lb_endpoints": [{"endpoint": {"address": _address(rig.upstream_port)}}]}
    most = {name: 100_000 for name in ("max_connections", "max_pending_requests", "max_requests")}
    return {
        "name": "upstream",
        "type": "STATIC",
        "connect_timeout": "5s",
        "circuit_breakers": {"thresholds": [most]},
        "load_assignment": {"cluster_name": "upstream", "endpoints": [endpoint]},
    }


def _bootstrap(port, setup, rig):
    router = {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{_HTTP}.router.v3.Router"}}
    filters = [_verifies(rig), _scope_rule(), router] if setup.enforce else [router]
    manager = {
        "@type": f"{_TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "downstream",
        "codec_type": "AUTO",
        "stream_idle_timeout": "600s",
        "http_filters": filters,
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": _routes(setup)}]},
    }
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    if setup.tls:
        chain["transport_socket"] = _tls(rig)
    listener = {"name": "downstream", "address": _address(port), "filter_chains": [chain], "tcp_backlog_size": 4096}
    return {
        "static_resources": {"listeners": [listener], "clusters": [_cluster(rig)]},
        "overload_manager": _connections(30_000),
    }


def _connections(most):
    typed = {
        "@type": f"{_TYPES}.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
        "max_active_downstream_connections": most,
    }
    return {
        "resource_monitors": [
            {"name": "envoy.resource_monitors.global_downstream_max_connections", "typed_config": typed}
        ]
    }


def command(home, port, setup, rig):
    if rig.tools.envoy is None or setup.issues or setup.fixed_401:
        raise Cannot
    config = home / "envoy.json"
    config.write_text(json.dumps(_bootstrap(port, setup, rig)))
    return [
        rig.tools.envoy, "-c", config, "--concurrency", setup.workers, "--disable-hot-restart", "-l", "error",
    ]  # fmt: skip
