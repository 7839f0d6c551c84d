"""Hostile XML: what would fill the memory is refused before a library makes objects of it."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import pytest
from pypsrp.messages import MessageType
from pypsrp.serializer import Serializer

from lyncarr.core.errors import ProtocolError
from lyncarr.core.model import Secret
from lyncarr.hosts.http.shape import MAX_DEPTH, MAX_ELEMENTS, check_shape
from lyncarr.hosts.messages import GuardedFragmenter, _without_references
from lyncarr.hosts.target import Target
from tests.patience import HANG_S
from tests.platforms import posix

TARGET = Target("rp01", "192.0.2.10", 5986, "Administrator", Secret("x"))
MOST_KB = 300 * 1024


def nested(depth: int, inside: bytes = b"") -> bytes:
    return b"<Obj><LST>" * (depth // 2) + inside + b"</LST></Obj>" * (depth // 2)


def message(kind: int, text: bytes) -> bytes:
    """One whole fragment with one message."""
    whole = struct.pack("<II", 1, kind) + bytes(32) + text
    return struct.pack(">QQBI", 1, 0, 3, len(whole)) + whole


def read(kind: int, text: bytes) -> list[object]:
    return [each.data for each in GuardedFragmenter(TARGET, 500_000, Serializer()).defragment(message(kind, text))]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (nested(MAX_DEPTH + 2), "30 levels"),
        (b"<a>" + b"<b/>" * (2 * MAX_ELEMENTS + 1) + b"</a>", "50000 elements"),
        (b"<a " + b" ".join(b'a%d=""' % n for n in range(MAX_ELEMENTS + 1)) + b"/>", "50000 elements"),
        (b'<?xml version="1.0" encoding="cp037"?><a/>', "unsupported encoding"),
        (b"<?xml version='1.0' encoding = 'utf-16'?><a/>", "unsupported encoding"),
        (b"<!DOCTYPE a><a/>", "document type"),
        (b"<\0a\0", "unsupported encoding"),
    ],
)
def test_what_is_refused(text: bytes, reason: str) -> None:
    with pytest.raises(ProtocolError, match=reason):
        check_shape(text, TARGET)


@pytest.mark.parametrize(
    "text", [nested(MAX_DEPTH), b'<?xml version="1.0" encoding="UTF-8"?><a>&lt;!DOCTYPE</a>', b"<a>" + b"<b/>" * 1000 + b"</a>"]
)
def test_what_is_read(text: bytes) -> None:
    check_shape(text, TARGET)


REFERENCES = b'<Obj RefId="0"><MS>' + b'<Ref N="a" RefId="0" />' * 10 + b"</MS></Obj>"


@pytest.mark.parametrize(
    "text",
    [REFERENCES, REFERENCES.replace(b" />", b"></Ref>"), REFERENCES.replace(b"<Ref ", b"<x:Ref ").replace(b"<Obj ", b"<Obj xmlns:x='y' ")],
)
@pytest.mark.parametrize("kind", [MessageType.APPLICATION_PRIVATE_DATA, MessageType.SESSION_CAPABILITY, MessageType.RUNSPACEPOOL_INIT_DATA])
def test_references_are_refused(kind: int, text: bytes) -> None:
    with pytest.raises(ProtocolError, match="references"):
        read(kind, text)


@pytest.mark.parametrize("kind", [MessageType.ERROR_RECORD, MessageType.PIPELINE_STATE])
@pytest.mark.parametrize("reference", [b'<Ref N="ErrorRecord" RefId="0" />', b"<Ref RefId='0' N='ErrorRecord'/>", b'<Ref RefId="0"/>'])
def test_an_error_is_read_with_null_in_place_of_its_references(kind: int, reference: bytes) -> None:
    whole = struct.pack("<II", 1, kind) + bytes(32) + b'<Obj RefId="0"><Props>' + reference + b'<S N="Message">It failed</S></Props></Obj>'
    read = _without_references(whole)
    check_shape(read[40:], TARGET, references=False)
    assert b"<Nil" in read
    assert (b"ErrorRecord" in reference) == (b"ErrorRecord" in read)
    assert b'<S N="Message">It failed</S>' in read


@pytest.mark.parametrize("text", [b"<I32>1</I32>", b"<Obj RefId='0'><S>x</S></Obj>", b"<S>x</S><S>y</S>", b"<S><S>x</S></S>", b"plain"])
def test_an_output_that_is_not_text_is_refused(text: bytes) -> None:
    with pytest.raises(ProtocolError, match="an output that is not text"):
        read(MessageType.PIPELINE_OUTPUT, text)


@pytest.mark.parametrize("text", [b"<S>x &lt; y</S>", b"<S />", b'\xef\xbb\xbf<S N="a">x</S>'])
def test_text_is_read(text: bytes) -> None:
    assert len(read(MessageType.PIPELINE_OUTPUT, text)) == 1


WORST = {
    "deep and wide": "answers(APPLICATION, nested(30, b'<S>' + b'x' * 1_000_000 + b'</S>'))",
    "many objects": "answers(APPLICATION, b'<Obj>' + b'<Obj RefId=\"1\"><S>x</S></Obj>' * 12_000 + b'</Obj>')",
    "many messages": "answers(APPLICATION, b'<Obj>' + b'<S/>' * 1_000 + b'</Obj>', 1_000)",
    "five megabytes in 200 levels": "answers(APPLICATION, nested(200, b'<S>' + b'x' * 5_000_000 + b'</S>'))",
    "large output": "answers(OUTPUT, b'<S>' + b'x' * 8_000_000 + b'</S>')",
    "an envelope of small elements": "envelope(b'<a>' + b'<b/>' * 2_000_000 + b'</a>')",
    "an envelope of the most elements": "envelope(b'<a>' + b'<b c=\"\"/>' * 49_000 + b'x' * 7_000_000 + b'</a>')",
    "an envelope of attributes": "envelope(b'<a ' + b' '.join(b'a%d=\"\"' % n for n in range(800_000)) + b'/>')",
}
PROGRAM = """
import resource, sys, xml.etree.ElementTree as ET
from lyncarr.core.errors import ProtocolError
from pypsrp.messages import MessageType
from tests.unit.test_shape import *
APPLICATION, OUTPUT = MessageType.APPLICATION_PRIVATE_DATA, MessageType.PIPELINE_OUTPUT
def answers(kind, text, count=1):
    return GuardedFragmenter(TARGET, 500_000, Serializer()).defragment(message(kind, text) * count)
def envelope(text):
    check_shape(text, TARGET)
    return ET.fromstring(text), ET.fromstring(text)
try:
    kept = {expression}
except (ProtocolError, LookupError, ValueError, AttributeError) as error:
    print(type(error), error)  # of pypsrp, for an object that is none; hosts/faults.py translates it
# Not ru_maxrss where that can be avoided: on Linux it includes the memory of the process that started this one.
status = Path("/proc/self/status")
peak = [int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM:")] if status.exists() else []
print(peak[0] if peak else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@posix("the memory of a process")
@pytest.mark.parametrize("expression", WORST.values(), ids=list(WORST))
def test_no_answer_within_the_limits_fills_the_memory(expression: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.replace("{expression}", expression)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=True,
    )
    assert int(done.stdout.splitlines()[-1]) < MOST_KB, done.stdout
