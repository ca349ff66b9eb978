"""What is asked of the gateways, one file for each workload of the comparison: `measure(rig, results)` does it."""

import importlib

# Letter: the file, and what it is.
WORKLOADS = {
    "a": ("warm", "RS256, 1,000 tokens seen before, answers of 200 bytes"),
    "b": ("fresh", "every request a new token: RS256, ES256, EdDSA"),
    "c": ("http2", "HTTP/2 in clear, 100 streams on each of 10 connections"),
    "d": ("tls", "TLS 1.3 with AES-128-GCM and P-256: kept connections, and handshakes"),
    "e": ("bodies", "bodies of 64 KiB and 10 MiB, down and up"),
    "f": ("routes", "10 and 10,000 routes"),
    "g": ("idle", "10,000 idle connections"),
    "h": ("refused", "requests refused with 401"),
    "i": ("reloads", "a reload every second"),
    "j": ("issuing", "the embedded token endpoint"),
    "k": ("workers", "two workers against one"),
    "cold": ("cold", "cold start to ready with 10,000 routes"),
}


def measure(letter, rig, results):
    module = importlib.import_module(f".{WORKLOADS[letter][0]}", __name__)
    module.measure(rig, results)
