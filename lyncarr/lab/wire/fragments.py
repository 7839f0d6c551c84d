"""PSRP fragments and messages, as much as a host in the middle must understand of them (MS-PSRP 2.2.4 and 2.2.1)."""

from __future__ import annotations

import re
import struct
import uuid

FRAGMENT_HEAD = struct.Struct(">QQBI")
MESSAGE_HEAD = struct.Struct("<II16s16s")
START, END = 1, 2
TO_CLIENT = 1
PIPELINE_STATE = 0x00041006
PIPELINE_HOST_CALL = 0x00041100
LAST_STATES = re.compile(rb'<I32 N="PipelineState">([345])</I32>')  # stopped, completed, failed

# PSHostUserInterface.ReadLine without parameters: a call that blocks whoever answers it.
READ_LINE = (
    '<Obj RefId="0"><MS><I64 N="ci">1</I64><Obj N="mi" RefId="1"><TN RefId="0">'
    "<T>System.Management.Automation.Remoting.RemoteHostMethodId</T><T>System.Enum</T><T>System.ValueType</T><T>System.Object</T>"
    '</TN><ToString>ReadLine</ToString><I32>11</I32></Obj><Obj N="mp" RefId="2"><TN RefId="1">'
    "<T>System.Collections.ArrayList</T><T>System.Object</T></TN><LST /></Obj></MS></Obj>"
)


class PipelineWatch:
    """Tells when a pipeline has said its last word. PowerShell's own server never does, WS-Management must."""

    def __init__(self) -> None:
        self._open: dict[int, bytearray] = {}

    def ends_with(self, packet: bytes) -> bool:
        """True where `packet`, one or more whole fragments, completes the message that ends the pipeline."""
        ended = False
        at = 0
        while at + FRAGMENT_HEAD.size <= len(packet):
            number, _, flags, length = FRAGMENT_HEAD.unpack_from(packet, at)
            at += FRAGMENT_HEAD.size
            part = packet[at : at + length]
            at += length
            if flags & START:
                self._open[number] = bytearray()
            message = self._open.get(number)
            if message is None:
                continue
            message += part
            if len(message) >= 8 and struct.unpack_from("<I", message, 4)[0] != PIPELINE_STATE:
                del self._open[number]  # megabytes of output need not be kept to see the end
            elif flags & END:
                ended = ended or LAST_STATES.search(message) is not None
                del self._open[number]
        return ended


def host_call(shell_id: str, command_id: str) -> bytes:
    """One whole fragment in which the host asks its client to read a line from the keyboard."""
    head = MESSAGE_HEAD.pack(TO_CLIENT, PIPELINE_HOST_CALL, uuid.UUID(shell_id).bytes_le, uuid.UUID(command_id).bytes_le)
    message = head + READ_LINE.encode()
    # A number far above those of the engine's own messages.
    return FRAGMENT_HEAD.pack(1 << 40, 0, START | END, len(message)) + message
