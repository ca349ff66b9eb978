"""HAProxy: proxies without looking, or verifies tokens with jwt_verify. It keeps nothing of a token that it has verified."""

from . import Cannot, route_path
from ..keys import AUDIENCE

_MAIN = """
global
    nbthread {workers}
    maxconn 30000
    no strict-limits
    tune.h2.max-concurrent-streams 256
    tune.ssl.default-dh-param 2048
defaults
    mode http
    no log
    timeout connect 5s
    timeout client 600s
    timeout server 60s
    timeout http-keep-alive 600s
    option http-keep-alive
    http-reuse always
frontend downstream
    bind 127.0.0.1:{port} backlog 4096 {bind}
{rules}
    default_backend upstream
backend upstream
    server one 127.0.0.1:{upstream}
"""

# Everything that Postern looks at on this route: form, algorithm, issuer, audience, times, signature, scope.
_RULES = """
    http-request set-var(txn.token) http_auth_bearer
    http-request set-var(txn.alg) var(txn.token),jwt_header_query('$.alg')
    http-request set-var(txn.exp) var(txn.token),jwt_payload_query('$.exp','int')
    http-request set-var(txn.now) date
    acl ours path_beg /orders/ /v1/
    acl alg_good var(txn.alg) -m str {algorithm}
    acl iss_good var(txn.token),jwt_payload_query('$.iss') -m str {issuer}
    acl aud_good var(txn.token),jwt_payload_query('$.aud') -m str {audience}
    acl exp_gone var(txn.exp),sub(txn.now) -m int lt 0
    acl signed var(txn.token),jwt_verify(txn.alg,"{key}") -m int 1
    acl scope_good var(txn.token),jwt_payload_query('$.scope') -m reg '(^| )orders:read( |$)'
    {refuse} if ours !alg_good
    {refuse} if ours !iss_good
    {refuse} if ours !aud_good
    {refuse} if ours exp_gone
    {refuse} if ours !signed
    http-request return status 403 content-type application/problem+json string '{{"status":403}}' if ours !scope_good
    http-request set-header x-client-id %[var(txn.token),jwt_payload_query('$.client_id')]
    http-request del-header authorization
"""
_REFUSE = "http-request return status 401 content-type application/problem+json string '{\"status\":401}' hdr www-authenticate Bearer"


def command(home, port, setup, rig):
    if setup.issues or setup.fixed_401 or (setup.enforce and setup.algorithm == "EdDSA"):
        raise Cannot
    bind = ""
    if setup.tls:
        bind = f"ssl crt {rig.keys.file('tls-both.pem')} ssl-min-ver TLSv1.3"
    elif setup.http2:
        bind = "proto h2"
    rules = ""
    if setup.enforce:
        rules = _RULES.format(
            algorithm=setup.algorithm, issuer=rig.keys.issuer, audience=AUDIENCE, refuse=_REFUSE,
            key=rig.keys.file(f"{setup.algorithm}.pub"),
        )  # fmt: skip
    if setup.routes:
        # Each route names its backend by its own line of a map, which is how many routes are written for it.
        lines = [f"{route_path(number)}/ upstream\n" for number in range(setup.routes)]
        (home / "routes.map").write_text("/orders/ upstream\n/healthz upstream\n" + "".join(lines))
        rules += f"    use_backend %[path,map_beg({home}/routes.map)]\n"
    config = home / "haproxy.cfg"
    config.write_text(
        _MAIN.format(workers=setup.workers, port=port, bind=bind, rules=rules, upstream=rig.upstream_port)
    )
    return ["haproxy", "-db", "-f", config]
