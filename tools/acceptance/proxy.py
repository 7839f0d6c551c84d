"""A request through the finished proxy, as a phone would send it."""

from __future__ import annotations

import http.client
import socket
import ssl

WAIT_S = 20.0


def ask(address: str, port: int, name: str, path: str) -> str:
    """Status and tell-tale headers of https://NAME/PATH, asked of `address`; or why there was no answer."""
    # Whether the certificate is trusted here says nothing about the proxy.
    context = ssl._create_unverified_context()
    connection = http.client.HTTPSConnection(name, port, timeout=WAIT_S, context=context)
    try:
        plain = socket.create_connection((address, port), WAIT_S)
        connection.sock = context.wrap_socket(plain, server_hostname=name)
        connection.request("GET", path)
        answer = connection.getresponse()
        headers = [f"{header}: {answer.getheader(header)}" for header in ("X-Powered-By", "Server", "Location") if answer.getheader(header)]
        return "; ".join([f"https://{name}{path}: {answer.status}", *headers])
    except (OSError, http.client.HTTPException) as error:
        return f"https://{name}{path}: no answer ({error})"
    finally:
        connection.close()
