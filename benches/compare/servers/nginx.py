"""nginx: proxies without looking, or answers a fixed 401. It cannot verify tokens in this build."""

from . import Cannot, route_path

_PROXY = 'proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection "";'

# What a gateway of the other products sends with a refusal, about.
_REFUSAL = """
    location / {
        default_type application/problem+json;
        add_header WWW-Authenticate 'Bearer realm="compare"' always;
        return 401 '{"type":"about:blank","title":"Unauthorized","status":401,"detail":"a bearer token is needed"}';
    }
"""

_MAIN = """
daemon off; worker_processes {workers}; pid {home}/pid; error_log {home}/error.log warn;
worker_rlimit_nofile 65536;
events {{ worker_connections 30000; }}
http {{
    access_log off; keepalive_requests 100000000; keepalive_timeout 600s; sendfile on; tcp_nodelay on;
    client_body_temp_path {home}/b; proxy_temp_path {home}/p; fastcgi_temp_path {home}/f; uwsgi_temp_path {home}/u; scgi_temp_path {home}/s;
    # Bodies pass through memory, never through a file.
    client_max_body_size 0; proxy_request_buffering off; proxy_max_temp_file_size 0;
    # With the buffers that it has by default, large bodies cost it twice as much down.
    proxy_buffers 8 64k; proxy_busy_buffers_size 128k; client_body_buffer_size 128k;
    http2_max_concurrent_streams 256;
    {extra}
    server {{ {server} }}
}}
"""


def program(home, server, extra="", workers=1):
    """The command for an nginx with this one server."""
    (home / "nginx.conf").write_text(_MAIN.format(home=home, server=server, extra=extra, workers=workers))
    return ["nginx", "-e", home / "error.log", "-c", home / "nginx.conf"]


def command(home, port, setup, rig):
    if setup.enforce or setup.issues:
        raise Cannot
    listens = f"listen 127.0.0.1:{port} backlog=4096" + " ssl" * setup.tls + " http2" * setup.http2 + ";"
    if setup.tls:
        listens += (
            f" ssl_certificate {rig.keys.file('tls.pem')}; ssl_certificate_key {rig.keys.file('tls.key')};"
            " ssl_protocols TLSv1.3;"
        )
    if setup.fixed_401:
        return program(home, listens + _REFUSAL)
    paths = ["/orders/", "/healthz", *(f"{route_path(number)}/" for number in range(setup.routes))]
    locations = "\n".join(f"location {path} {{ {_PROXY} }}" for path in paths)
    extra = f"upstream up {{ server 127.0.0.1:{rig.upstream_port}; keepalive 1100; keepalive_requests 100000000; }}"
    return program(home, f"{listens}\n{locations}", extra, setup.workers)
