"""(g) Connections that have had one request and wait for another: the memory of each, as the gateway's grows by them."""

import contextlib
import socket
import time

from .. import gateways
from ..load import Wrong
from ..servers import Cannot, Setup

_ADDRESSES = 8  # of those who call, so that ports do not run short


def _call(number, port, request):
    """A connection whose one request has been answered."""
    source = (f"127.0.0.{2 + number % _ADDRESSES}", 0)
    connection = socket.create_connection(("127.0.0.1", port), 10, source_address=source)
    try:
        connection.sendall(request)
        answer = b""
        while b"\r\n\r\n" not in answer or len(answer.partition(b"\r\n\r\n")[2]) < 200:
            more = connection.recv(4096)
            if not more:
                break
            answer += more
        if not answer.startswith(b"HTTP/1.1 200 ") or len(answer.partition(b"\r\n\r\n")[2]) != 200:
            raise Wrong(f"connection {number} was answered {answer[:80]}")
        return connection
    except BaseException:
        connection.close()
        raise


def _settled(running):
    """Its memory, once what it tidies up later is tidied up."""
    time.sleep(1)
    return running.memory()


def _measure_once(rig, results, gateway, wanted):
    token = rig.keys.first("warm")
    request = f"GET /orders/7 HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    with gateways.start(rig, gateway, Setup()) as running, contextlib.ExitStack() as open_ones:
        for number in range(200):
            _call(number, running.port, request).close()
        before = _settled(running)
        begun = running.cpu()
        for number in range(wanted):
            open_ones.enter_context(_call(number, running.port, request))
        after = _settled(running)
        cpu = running.cpu().since(begun).total
        results.put("g", gateway, memory=after, connection_bytes=(after - before) / wanted, cpu=cpu / wanted * 1e6)
        print(f"  g {gateway:12} {(after - before) / wanted / 1024:6.2f} KiB a connection", flush=True)


def measure(rig, results):
    wanted = min(1000 if rig.quick else 10_000, rig.descriptors - 1000)
    results.entitle("g", f"{wanted:,} idle connections")
    if wanted < 10_000:
        results.note(f"(g) with {wanted:,} connections instead of 10,000")
    # Once in each pass: it takes long, and its bound is of memory, which nothing disturbs.
    for gateway in rig.gateways:
        if results.is_left_out("g", gateway):
            continue
        try:
            _measure_once(rig, results, gateway, wanted)
        except Cannot:
            results.cannot("g", gateway)
        except (Wrong, OSError) as error:
            results.wrong("g", gateway, error)
