"""A load of its own: each request on a new connection with a whole handshake of TLS. wrk would resume its sessions.

handshakes.py FOLDER PORT SECONDS CALLERS    prints what load.lua prints, but for its marks
"""

import json
import socket
import ssl
import sys
import threading
import time
from pathlib import Path


class Caller(threading.Thread):
    """Connects, asks, reads to the end, and begins again."""

    def __init__(self, context, port, requests, deadline):
        super().__init__()
        self._context, self._port, self._requests, self._deadline = context, port, requests, deadline
        self.microseconds, self.bytes, self.agreed = [], 0, set()
        self.errors = {"connect": 0, "read": 0, "status": 0, "resumed": 0}

    def run(self):
        for number in range(sys.maxsize):
            begun = time.perf_counter()
            if begun >= self._deadline:
                return
            if self._ask(self._requests[number % len(self._requests)]):
                self.microseconds.append(int((time.perf_counter() - begun) * 1e6))

    def _ask(self, request):
        try:
            plain = socket.create_connection(("127.0.0.1", self._port), 10)
            # The end of the handshake and the request are two writes; the second does not wait for the first.
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:
            self.errors["connect"] += 1
            return False
        try:
            with plain, self._context.wrap_socket(plain, suppress_ragged_eofs=True) as connection:
                self.agreed.add(connection.cipher()[:2])
                self.errors["resumed"] += bool(connection.session_reused)
                connection.sendall(request)
                answer = b""
                while more := connection.recv(65536):
                    answer += more
        except OSError:
            self.errors["read"] += 1
            return False
        self.bytes += len(answer)
        self.errors["status"] += not answer.startswith(b"HTTP/1.1 200 ")
        return True


def main(folder, port, seconds, callers):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    fields = (folder / "headers").read_bytes().decode()  # as bytes, since its lines end in CRLF
    requests = []
    for line in (folder / "requests").read_text().splitlines():
        path, token = line.split(" ")
        head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n{fields}\r\n"
        requests.append(head.encode())
    begun = time.perf_counter()
    threads = [Caller(context, port, requests[at::callers], begun + seconds) for at in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - begun
    times = sorted(one for thread in threads for one in thread.microseconds) or [0]
    errors = {name: sum(thread.errors[name] for thread in threads) for name in threads[0].errors}
    agreed = set().union(*(thread.agreed for thread in threads))
    errors["another suite"] = len(agreed - {("TLS_AES_128_GCM_SHA256", "TLSv1.3")})
    said = {
        "requests": sum(len(thread.microseconds) for thread in threads), "microseconds": int(took * 1e6),
        "bytes": sum(thread.bytes for thread in threads), "p50": times[len(times) // 2],
        "p99": times[len(times) * 99 // 100], "used": 0, "errors": errors,
    }  # fmt: skip
    print(json.dumps(said))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:5]))
