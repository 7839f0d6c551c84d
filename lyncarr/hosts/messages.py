"""Checks PSRP messages of a host before pypsrp reads them.

pypsrp trusts fragments: it cuts a short one, keeps an unknown one forever, and runs host calls. This module requires whole fragments,
limits the size of messages, accepts expected message types without a document type only, and refuses host calls.
"""

from __future__ import annotations

import re
import struct
from typing import Any

from pypsrp.messages import Message, MessageType
from pypsrp.powershell import Fragmenter
from pypsrp.serializer import Serializer

from lyncarr.core.errors import ProtocolError
from lyncarr.hosts.http.guard import MAX_BODY_BYTES
from lyncarr.hosts.http.shape import MAX_ELEMENTS, check_shape
from lyncarr.hosts.target import CHECK_ADDRESS, Target

# [MS-PSRP] 2.2.4: object id, fragment id, flags, length, all big-endian. 2.2.1: destination, type, pool, pipeline, little-endian.
_FRAGMENT = struct.Struct(">QQBI")
_START, _END = 1, 2
_HEADER_BYTES = 40
# A text of CLIXML, with a byte order mark where the host writes one. The script writes nothing else into its output.
_TEXT = re.compile(rb"(?:\xef\xbb\xbf)?\s*<S(?: [^<>]*)?(?:/>|>[^<]*</S>)\s*")
MAX_MESSAGES = 20_000
"""In one answer. A full envelope of 500 KB holds about 4,000 of the smallest messages."""
MAX_OPEN = 64
"""Incomplete messages. Windows sends one message after the other."""

READ = frozenset(
    {
        MessageType.SESSION_CAPABILITY,
        MessageType.APPLICATION_PRIVATE_DATA,
        MessageType.RUNSPACEPOOL_INIT_DATA,
        MessageType.RUNSPACEPOOL_STATE,
        MessageType.PIPELINE_OUTPUT,
        MessageType.PIPELINE_STATE,
        MessageType.ERROR_RECORD,
    }
)
UNREAD = frozenset(
    {
        MessageType.DEBUG_RECORD,
        MessageType.VERBOSE_RECORD,
        MessageType.WARNING_RECORD,
        MessageType.PROGRESS_RECORD,
        MessageType.INFORMATION_RECORD,
        MessageType.USER_EVENT,
        MessageType.RUNSPACE_AVAILABILITY,
    }
)
"""lyncarr does not use these. They are dropped and never parsed."""
HOST_CALLS = frozenset({MessageType.RUNSPACEPOOL_HOST_CALL, MessageType.PIPELINE_HOST_CALL})


WITH_ERRORS = frozenset({MessageType.ERROR_RECORD, MessageType.PIPELINE_STATE, MessageType.RUNSPACEPOOL_STATE})
MAX_OBJECT_BYTES = 1024 * 1024
"""Of messages that are not output. pypsrp keeps the text of an object once for each level."""
_REFERENCE = re.compile(rb"<Ref\b([^<>]*?)\s(?:RefId=[\"'][^<>\"']*[\"'])([^<>]*)/>")


def _kind(message: bytes) -> int:
    return int.from_bytes(message[4:8], "little")


def _without_references(message: bytes) -> bytes:
    """A message about an error with null in place of its references: an error record can name its exception twice.

    References are refused in every other message: an object that consists of them can become a text that fills the memory.
    """
    return _REFERENCE.sub(rb"<Nil\1\2/>", message) if _kind(message) in WITH_ERRORS else message


class GuardedFragmenter(Fragmenter):
    """Replaces the `_fragmenter` of a runspace pool. Raises ProtocolError for data that violates the protocol."""

    def __init__(self, target: Target, max_size: int, serializer: Serializer) -> None:
        super().__init__(max_size, serializer)
        self._target = target
        self._open: dict[int, tuple[int, bytearray]] = {}
        self.made = 0
        """Number of fragments of the last message that was sent."""

    def fragment(self, data: Any, rpid: str, pid: str | None = None, remaining_size: int | None = None) -> list[bytes]:
        fragments: list[bytes] = super().fragment(data, rpid, pid, remaining_size)
        self.made = len(fragments)
        return fragments

    def defragment(self, data: bytes) -> list[Message]:
        """The messages whose last fragment is in `data`, which must consist of whole fragments."""
        messages = []
        offset = 0
        count = elements = objects = 0
        while offset < len(data):
            if offset + _FRAGMENT.size > len(data):
                raise self._broken("a fragment without its header")
            object_id, number, flags, length = _FRAGMENT.unpack_from(data, offset)
            offset += _FRAGMENT.size
            if offset + length > len(data):
                raise self._broken("a fragment shorter than its declared length")
            whole = self._joined(object_id, number, flags, data[offset : offset + length])
            offset += length
            if whole is None:
                continue
            count += 1
            whole = _without_references(whole)
            if count > MAX_MESSAGES:
                raise self._broken(f"more than {MAX_MESSAGES} messages in one answer")
            if self._is_read(whole):
                elements += whole.count(b"<")
                objects += len(whole) if _kind(whole) != MessageType.PIPELINE_OUTPUT else 0
                if objects > MAX_OBJECT_BYTES:
                    raise self._broken(f"more than {MAX_OBJECT_BYTES} bytes of objects in one answer")
                if elements > 2 * MAX_ELEMENTS:
                    raise self._broken(f"more than {MAX_ELEMENTS} elements in one answer")
                messages.append(Message.unpack(whole, self.serializer))
        return messages

    def _joined(self, object_id: int, number: int, flags: int, part: bytes) -> bytes | None:
        """The message that this fragment completes; None where further fragments follow."""
        expected, parts = self._open.pop(object_id, (0, bytearray()))
        if number != expected or bool(flags & _START) != (number == 0):
            raise self._broken(f"fragment {number} where {expected} was expected")
        parts += part
        if flags & _END:
            return bytes(parts)
        self._open[object_id] = (number + 1, parts)
        if len(self._open) > MAX_OPEN:
            raise self._broken(f"more than {MAX_OPEN} unfinished messages")
        if sum(len(other) for _, other in self._open.values()) > MAX_BODY_BYTES:
            raise self._broken(f"a message of more than {MAX_BODY_BYTES} bytes")
        return None

    def _is_read(self, message: bytes) -> bool:
        if len(message) < _HEADER_BYTES:
            raise self._broken("a message without its header")
        kind = _kind(message)
        if kind in HOST_CALLS:
            raise ProtocolError(
                f"{self._target.where} requested an answer to a prompt, which the script of lyncarr never does; no answer was sent.",
                hint="Check the address, and that the host uses the standard PowerShell endpoint.",
            )
        if kind in UNREAD:
            return False
        if kind not in READ:
            raise self._broken(f"a message of type 0x{kind:08x}")
        check_shape(message[_HEADER_BYTES:], self._target, references=False)
        if kind == MessageType.PIPELINE_OUTPUT and not _TEXT.fullmatch(message[_HEADER_BYTES:]):
            raise self._broken("an output that is not text")
        return True

    def _broken(self, reason: str) -> ProtocolError:
        return ProtocolError(
            f"{self._target.where} violated the PowerShell remoting protocol ({reason}); lyncarr stopped reading.", hint=CHECK_ADDRESS
        )
