"""What stands for the whole run beside the gateways: the folder, keys and tokens, the upstream, and where keys are published."""

import os
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from . import machine, probe
from .children import Child
from .keys import Keys, make as make_keys
from .servers import nginx
from .tools import TARGET

ANSWER = 200  # bytes
KIB, MIB = 1024, 1024 * 1024


@dataclass
class Rig:
    """Where everything is, and how long and how often is measured at once."""

    tools: object
    folder: Path
    seconds: int
    quick: bool
    gateways: list
    bare: object  # verifications without a gateway
    rounds: int = 1  # of this pass
    keys: Keys = None
    upstream_port: int = 0
    jwks_port: int = 0
    descriptors: int = 0
    awake: bool = False  # whether cores are kept from falling asleep
    openssl: Path = None  # a configuration for those who call: one version, suite and curve
    _homes: int = field(default=0)
    _pass: Path = None  # where the homes of this pass are

    def new_home(self, name):
        """A folder for one server's configuration and logs."""
        self._homes += 1
        home = (self._pass or self.folder) / f"{self._homes:03}-{name}"
        home.mkdir()
        return home

    @contextmanager
    def in_a_pass_of(self, rounds):
        """Whose folders are gone afterwards: tokens that are asked with once come to half a gigabyte."""
        with tempfile.TemporaryDirectory(prefix="pass-", dir=self.folder) as folder:
            os.chmod(folder, 0o755)
            self.rounds, self._pass = rounds, Path(folder)
            yield
        self._pass = None


# The callers of TLS offer nothing else, so that every server agrees on the same.
_OPENSSL = """
openssl_conf = all
[all]
ssl_conf = ssl
[ssl]
system_default = only
[only]
MinProtocol = TLSv1.3
Ciphersuites = TLS_AES_128_GCM_SHA256
Groups = P-256
"""

# Answers without looking, but for uploads, which it reads to their end before it answers: `location /sink/` asks itself.
_UPSTREAM = """
    listen 127.0.0.1:{port} backlog=4096 reuseport;
    location / {{ return 200 "{answer}"; }}
    location /orders/file/ {{ alias {files}/; }}
    location /orders/sink/ {{
        client_max_body_size 0; client_body_buffer_size 11m; client_body_in_single_buffer on;
        proxy_pass http://127.0.0.1:{port}/; proxy_pass_request_body off; proxy_set_header Content-Length "";
        proxy_http_version 1.1; proxy_set_header Connection "";
    }}
"""


class Standing(ExitStack):
    """The rig, made and taken away again."""

    def __init__(self, rig, fresh):
        super().__init__()
        self._rig, self._fresh = rig, fresh

    def __enter__(self):
        super().__enter__()
        try:
            self._raise_it()
        except BaseException:
            self.close()
            raise
        return self._rig

    def _raise_it(self):
        rig = self._rig
        # Where builds go, which is a disk: the embedded issuer's tokens are to be durable, and /tmp may be memory.
        TARGET.mkdir(parents=True, exist_ok=True)
        rig.folder = Path(self.enter_context(tempfile.TemporaryDirectory(prefix="compare-", dir=TARGET)))
        os.chmod(rig.folder, 0o755)
        rig.awake = self.enter_context(machine.awake_cores())
        rig.descriptors = machine.allow_descriptors(65536)
        rig.upstream_port, rig.jwks_port = machine.free_port(), machine.free_port()
        rig.openssl = rig.folder / "openssl.cnf"
        rig.openssl.write_text(_OPENSSL)
        made, files = rig.folder / "keys", rig.folder / "files"
        made.mkdir()
        files.mkdir()
        for name, size in (("64k", 64 * KIB), ("10m", 10 * MIB)):
            (files / name).write_bytes(b"x" * size)
        rig.keys = make_keys(rig.tools, made, f"http://127.0.0.1:{rig.jwks_port}", self._fresh)
        body = _UPSTREAM.format(port=rig.upstream_port, answer="x" * ANSWER, files=files)
        self._serve("upstream", body)
        published = rig.folder / "published"
        published.mkdir()
        (published / "jwks.json").write_bytes(rig.keys.file("jwks.json").read_bytes())
        self._serve("published-keys", f"listen 127.0.0.1:{rig.jwks_port}; root {published};")
        probe.until_answered(rig.upstream_port, "/")
        probe.until_answered(rig.jwks_port, "/jwks.json")

    def _serve(self, name, body):
        home = self._rig.new_home(name)
        self.enter_context(Child(machine.LOAD_CORE, nginx.program(home, body), home / "log"))
