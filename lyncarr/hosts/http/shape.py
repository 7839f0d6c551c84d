"""The shape of XML that a host sent, checked before a library makes objects of it: documents of a few megabytes could fill the memory.

expat itself needs little memory. What grows are the objects: a hundred bytes for an element of ElementTree, kilobytes for one of pypsrp,
and without a limit for references, of which each can double the text that an object becomes.
"""

from __future__ import annotations

import re
from xml.parsers import expat

from lyncarr.core.errors import ProtocolError
from lyncarr.hosts.target import CHECK_ADDRESS, Target

MAX_DEPTH = 30
MAX_ELEMENTS = 50_000
"""In one document. WinRM's own answers have some hundreds."""
_DECLARED = re.compile(rb"^\s*<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([^\"']*)")
_ATTRIBUTE = re.compile(rb"=\s*[\"']")


def check_shape(data: bytes, target: Target, *, references: bool = True) -> None:
    """Raise ProtocolError for XML that is deeper than MAX_DEPTH or has more than MAX_ELEMENTS elements or attributes.

    Also for a document type, whose entities could exhaust the reader, and for another encoding than UTF-8, in which this search would not
    find the mark; SOAP and CLIXML never have them. With `references` False also for a reference of CLIXML (element Ref). XML that is not
    well-formed is left to the reader.
    """
    declared = _DECLARED.match(data[:300])
    if b"<!DOCTYPE" in data or b"\0" in data or (declared and declared[1].lower() not in (b"utf-8", b"us-ascii")):
        raise ProtocolError(f"{target.where} sent XML with a document type or in an unsupported encoding.", hint=CHECK_ADDRESS)
    # End tags count too, so a document may have half as many elements with text.
    if data.count(b"<") > 2 * MAX_ELEMENTS or sum(1 for _ in _ATTRIBUTE.finditer(data)) > MAX_ELEMENTS:
        raise _refused(target, f"more than {MAX_ELEMENTS} elements")
    depth = 0

    def start(name: str, attributes: list[str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise _refused(target, f"more than {MAX_DEPTH} levels")
        if not references and name.rpartition(":")[2] == "Ref":
            raise _refused(target, "references")

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1

    parser = expat.ParserCreate()
    parser.ordered_attributes = True
    parser.StartElementHandler, parser.EndElementHandler = start, end
    try:
        parser.Parse(data, True)
    except expat.ExpatError:
        return


def _refused(target: Target, what: str) -> ProtocolError:
    return ProtocolError(
        f"{target.where} sent XML with {what}, which WinRM and PowerShell do not need; it was not read.", hint=CHECK_ADDRESS
    )
