"""WS-Management messages: SOAP 1.2 in and out. No sockets, no shells, no engine.

Shapes are those of MS-WSMV (https://learn.microsoft.com/openspecs/windows_protocols/ms-wsmv/), as far as
clients of PSRP and WinRS use them.
"""

from __future__ import annotations

import base64
import re
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from xml.sax.saxutils import escape, quoteattr

NAMESPACES = {
    "s": "http://www.w3.org/2003/05/soap-envelope",
    "a": "http://schemas.xmlsoap.org/ws/2004/08/addressing",
    "w": "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd",
    "p": "http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd",
    "x": "http://schemas.xmlsoap.org/ws/2004/09/transfer",
    "rsp": "http://schemas.microsoft.com/wbem/wsman/1/windows/shell",
}
CREATION = "{http://schemas.microsoft.com/powershell}creationXml"
FAULT_NAMESPACE = "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault"
ANONYMOUS = "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous"

TRANSFER = NAMESPACES["x"]
SHELL = NAMESPACES["rsp"]
CREATE = f"{TRANSFER}/Create"
DELETE = f"{TRANSFER}/Delete"
GET = f"{TRANSFER}/Get"
COMMAND = f"{SHELL}/Command"
RECEIVE = f"{SHELL}/Receive"
SEND = f"{SHELL}/Send"
SIGNAL = f"{SHELL}/Signal"
FAULT_ACTION = "http://schemas.dmtf.org/wbem/wsman/1/wsman/fault"

POWERSHELL_RESOURCE = "http://schemas.microsoft.com/powershell/"
SHELL_RESOURCE = SHELL
CMD_RESOURCE = f"{SHELL}/cmd"

TIMED_OUT = 2150858793
NO_SUCH_SHELL = 2150858843
ABORTED = 995
ACCESS_DENIED = 5
# Windows has a number for each of the many ways to be malformed; no client of ours tells them apart.
UNSUPPORTED = 2150858752
# Windows' own error codes, which come through as they are.
NO_SUCH_FILE = 2
BROKEN_PIPE = 109
LINE_TOO_LONG = 206
NO_SUCH_FOLDER = 267

DEFAULT_ENVELOPE_BYTES = 153_600
DEFAULT_OPERATION_TIMEOUT_S = 60.0
ENVELOPE_MARGIN_BYTES = 2_000


class Fault(Exception):
    """A SOAP fault: `code` is the WSManFault's number, `subcode` the w: name, `str()` the reason."""

    def __init__(self, code: int, subcode: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.subcode = subcode


def timed_out() -> Fault:
    return Fault(TIMED_OUT, "w:TimedOut", "The WS-Management service cannot complete the operation within the time specified.")


def no_such(what: str) -> Fault:
    return Fault(NO_SUCH_SHELL, "w:InvalidSelectors", f"The request for the Windows Remote Shell names {what} that is not on the server.")


def aborted(reason: str) -> Fault:
    return Fault(ABORTED, "w:InternalError", f"The I/O operation has been aborted: {reason}.")


def windows_error(code: int, text: str) -> Fault:
    return Fault(code, "w:InternalError", text)


def refused(code: int) -> Fault:
    return Fault(code, "w:AccessDenied" if code == ACCESS_DENIED else "w:QuotaLimit", "The WS-Management service refuses to open a shell.")


def unsupported(what: str) -> Fault:
    return Fault(UNSUPPORTED, "w:SchemaValidationError", what)


@dataclass(frozen=True)
class Message:
    """One request. `shell_id` is upper case; `body` is the s:Body element; `options` are those of the OptionSet, by upper-case name."""

    action: str
    message_id: str
    resource_uri: str
    shell_id: str | None
    operation_timeout_s: float
    max_envelope_bytes: int
    body: ET.Element
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def payload_limit(self) -> int:
        """Bytes of data that fit into an answer of the size that the client asked for."""
        return max(1, (self.max_envelope_bytes - ENVELOPE_MARGIN_BYTES) // 4 * 3)


def parse(data: bytes) -> Message:
    """Read a SOAP request; raises Fault for anything else."""
    if b"<!DOCTYPE" in data[:1024]:
        raise unsupported("A document type declaration is not allowed.")
    try:
        root = ET.fromstring(data)  # noqa: S314  (no DOCTYPE, so no entities)
    except ET.ParseError as error:
        raise unsupported(f"The request is not well-formed XML: {error}.") from error
    header, body = root.find("s:Header", NAMESPACES), root.find("s:Body", NAMESPACES)
    if root.tag != f"{{{NAMESPACES['s']}}}Envelope" or header is None or body is None:
        raise unsupported("The request is not a SOAP 1.2 envelope.")
    shell_id = header.findtext("w:SelectorSet/w:Selector[@Name='ShellId']", None, NAMESPACES)
    return Message(
        action=(header.findtext("a:Action", "", NAMESPACES) or "").strip(),
        message_id=header.findtext("a:MessageID", "", NAMESPACES) or "",
        resource_uri=(header.findtext("w:ResourceURI", "", NAMESPACES) or "").strip(),
        shell_id=shell_id.upper() if shell_id else None,
        operation_timeout_s=seconds(header.findtext("w:OperationTimeout", None, NAMESPACES), DEFAULT_OPERATION_TIMEOUT_S),
        max_envelope_bytes=_size(header.findtext("w:MaxEnvelopeSize", None, NAMESPACES)),
        body=body,
        options={
            option.get("Name", "").upper(): (option.text or "").strip() for option in header.findall("w:OptionSet/w:Option", NAMESPACES)
        },
    )


def seconds(duration: str | None, default: float) -> float:
    """Seconds of an ISO 8601 duration of hours, minutes and seconds; `default` where there is none."""
    found = re.fullmatch(r"PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?", (duration or "").strip())
    if not found or not any(found.groups()):
        return default
    hours, minutes, rest = (float(part or 0) for part in found.groups())
    return hours * 3600 + minutes * 60 + rest


def _size(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() else DEFAULT_ENVELOPE_BYTES


def decode(text: str | None) -> bytes:
    """Base64 in an element's text; raises Fault for anything else."""
    try:
        return base64.b64decode(text or "", validate=False)
    except ValueError as error:
        raise unsupported(f"An element is not base64: {error}.") from error


def envelope(action: str, relates_to: str, body: str) -> bytes:
    """A SOAP answer around the XML text `body`. RelatesTo is the client's MessageID byte for byte."""
    namespaces = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMESPACES.items())
    return (
        f'<s:Envelope xml:lang="en-US" {namespaces}><s:Header><a:Action>{escape(action)}</a:Action>'
        f"<a:MessageID>uuid:{str(uuid.uuid4()).upper()}</a:MessageID><a:To>{ANONYMOUS}</a:To>"
        f"<a:RelatesTo>{escape(relates_to)}</a:RelatesTo></s:Header><s:Body>{body}</s:Body></s:Envelope>"
    ).encode()


def answer(message: Message, body: str) -> bytes:
    """The regular answer to `message`."""
    return envelope(message.action + "Response", message.message_id, body)


def fault(error: Fault, relates_to: str, machine: str) -> bytes:
    """A fault's envelope; it goes out with HTTP status 500."""
    reason = escape(str(error))
    return envelope(
        FAULT_ACTION,
        relates_to,
        f"<s:Fault><s:Code><s:Value>s:Receiver</s:Value><s:Subcode><s:Value>{error.subcode}</s:Value></s:Subcode></s:Code>"
        f'<s:Reason><s:Text xml:lang="en-US">{reason}</s:Text></s:Reason><s:Detail>'
        f'<f:WSManFault xmlns:f="{FAULT_NAMESPACE}" Code="{error.code}" Machine={quoteattr(machine)}>'
        f"<f:Message>{reason}</f:Message></f:WSManFault></s:Detail></s:Fault>",
    )


def created(shell_id: str, resource_uri: str, streams: tuple[str, str], idle_s: float) -> str:
    """Body of the answer to Create. ResourceCreated must be a direct child of the body: clients look for it there."""
    return (
        f"<x:ResourceCreated><a:Address>{ANONYMOUS}</a:Address><a:ReferenceParameters>"
        f"<w:ResourceURI>{escape(resource_uri)}</w:ResourceURI><w:SelectorSet>"
        f'<w:Selector Name="ShellId">{shell_id}</w:Selector></w:SelectorSet></a:ReferenceParameters></x:ResourceCreated>'
        + described(shell_id, resource_uri, streams, idle_s)
    )


def described(shell_id: str, resource_uri: str, streams: tuple[str, str], idle_s: float) -> str:
    """An rsp:Shell element, as Create and Get answer it. `streams` are the names of those in and of those out."""
    return (
        f"<rsp:Shell><rsp:ShellId>{shell_id}</rsp:ShellId><rsp:ResourceUri>{escape(resource_uri)}</rsp:ResourceUri>"
        f"<rsp:InputStreams>{streams[0]}</rsp:InputStreams><rsp:OutputStreams>{streams[1]}</rsp:OutputStreams>"
        f"<rsp:IdleTimeOut>PT{idle_s:.3f}S</rsp:IdleTimeOut><rsp:State>Connected</rsp:State></rsp:Shell>"
    )


def received(command_id: str | None, packets: Iterable[tuple[str, bytes]], exit_code: int | None) -> str:
    """Body of the answer to Receive: the packets, (stream, bytes), and Done where there is an exit code.

    All packets of one stream share one Stream element: many small ones would not fit the envelope.
    """
    of_command = f' CommandId="{command_id}"' if command_id else ""
    streams: dict[str, bytearray] = {}
    for name, data in packets:
        streams.setdefault(name, bytearray()).extend(data)
    body = "".join(
        f'<rsp:Stream Name="{name}"{of_command}>{base64.b64encode(data).decode("ascii")}</rsp:Stream>' for name, data in streams.items()
    )
    if command_id:
        word, code = ("Running", "") if exit_code is None else ("Done", f"<rsp:ExitCode>{exit_code}</rsp:ExitCode>")
        body += f'<rsp:CommandState{of_command} State="{SHELL}/CommandState/{word}">{code}</rsp:CommandState>'
    return f"<rsp:ReceiveResponse>{body}</rsp:ReceiveResponse>"
