"""A server that answers HTTP requests with bytes written by the test, and counts what arrived."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from lyncarr.lab.wire.certs import Identity

Answer = bytes | Callable[[socket.socket], None]
"""What is written back; or what is done with the connection."""


class RawServer:
    """Answers one request after the other with `answers`, the last of them for ever; `requests` are heads with bodies."""

    def __init__(self, *answers: Answer, identity: Identity | None = None, folder: Path | None = None) -> None:
        self.answers = list(answers)
        self.requests: list[bytes] = []
        self.connections = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._context: ssl.SSLContext | None = None
        if identity is not None:
            assert folder is not None
            pem = folder / "server.pem"
            pem.write_bytes(identity.certificate + identity.key)
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.set_ciphers("DEFAULT:@SECLEVEL=0")
            self._context.load_cert_chain(pem)

    def __enter__(self) -> RawServer:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.listener.close()
        for sock in self._open:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                self.connections += 1
                self._open.append(client)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError):
            if self._context is not None:
                client = self._context.wrap_socket(client, server_side=True)
                self._open.append(client)
            with client, client.makefile("rb") as reader:
                while request := _read(reader):
                    self.requests.append(request)
                    answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                    if callable(answer):
                        answer(client)
                    else:
                        client.sendall(answer)


def _read(reader: Any) -> bytes:
    head = b""
    while line := reader.readline():
        head += line
        if line == b"\r\n":
            break
    length = next((int(line.split(b":")[1]) for line in head.splitlines() if line.lower().startswith(b"content-length:")), 0)
    body: bytes = reader.read(length)
    return head + body


def http(status: str, body: bytes = b"", headers: Iterable[str] = (), kind: str | None = "application/soap+xml;charset=UTF-8") -> bytes:
    """An HTTP answer with a length."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    if kind is not None:
        lines.append(f"Content-Type: {kind}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
