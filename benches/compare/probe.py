"""One request at a time, read to its end and looked at: whether somebody answers yet, and whether the answer is right."""

import http.client
import os
import re
import ssl
import subprocess
import time
from dataclasses import dataclass


@dataclass
class Answer:
    status: int
    body: int  # bytes
    whole: int  # bytes, with the head


def _connection(port, tls, timeout):
    if not tls:
        return http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return http.client.HTTPSConnection("127.0.0.1", port, timeout=timeout, context=context)


def ask(port, path, token=None, tls=False, method="GET", body=None, headers=None, timeout=10):
    """The answer to one request on a connection of its own."""
    connection = _connection(port, tls, timeout)
    # The host is as the load generators write it: answers that repeat it are as long.
    fields = {"Host": "127.0.0.1", **(headers or {})}
    if token:
        fields["Authorization"] = f"Bearer {token}"
    try:
        connection.request(method, path, body, fields)
        response = connection.getresponse()
        length = len(response.read())
        # As it stood on the wire: the status line, the fields, an empty line.
        head = len(f"HTTP/1.1 {response.status} {response.reason}\r\n\r\n")
        head += sum(len(name) + len(value) + 4 for name, value in response.getheaders())
        return Answer(response.status, length, head + length)
    finally:
        connection.close()


def agreed_in_tls(port, configuration):
    """Version with cipher suite, and the curve, that the server and a caller with this configuration of OpenSSL choose."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}"]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20,
        env={**os.environ, "OPENSSL_CONF": str(configuration)},
    )  # fmt: skip
    suite = re.search(r"^New, (TLSv\S+), Cipher is (\S+)", done.stdout, re.MULTILINE)
    curve = re.search(r"^Server Temp Key: (.+?), \d+ bits", done.stdout, re.MULTILINE)
    return (suite.groups() if suite else (None, None)) + (curve.group(1) if curve else None,)


def until_answered(port, path, token=None, tls=False, wanted=200, seconds=30, gone=lambda: False):
    """Asks until the answer is the wanted one; says whether it was."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not gone():
        try:
            if ask(port, path, token, tls).status == wanted:
                return True
        except (OSError, http.client.HTTPException):
            pass
        time.sleep(0.002)
    return False
