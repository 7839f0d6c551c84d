"""Who can read a file on Windows: access lists as Windows writes them, with the answer that a person would give."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from lyncarr.secrets.acl import other_readers, readers_of
from tests.platforms import WINDOWS

USER = "S-1-5-21-1004336348-1177238915-682003330-1001"
OTHER = "S-1-5-21-1004336348-1177238915-682003330-1002"
PROFILE = f"O:{USER}D:(A;ID;FA;;;SY)(A;ID;FA;;;BA)(A;ID;FA;;;{USER})"
"""A file in the user's profile."""


@pytest.mark.parametrize(
    ("sddl", "others"),
    [
        (PROFILE, ()),
        # Below a folder on C:\ that was made by hand.
        ("O:BAD:AI(A;ID;FA;;;BA)(A;ID;FA;;;SY)(A;ID;0x1200a9;;;BU)(A;ID;0x1301bf;;;AU)", ("Users", "Authenticated Users")),
        (f"O:{USER}D:P(A;;FA;;;{USER})", ()),
        (f"O:{USER}D:P(A;;FR;;;{USER})(A;;FR;;;{OTHER})", (OTHER,)),
        (f"O:{OTHER}D:P(A;;FA;;;{OTHER})(A;;FR;;;{USER})", ()),
        (f"O:{USER}D:(A;;FA;;;{USER})(A;;FR;;;WD)", ("Everyone",)),
        (f"O:{USER}D:(A;;FA;;;{USER})(A;;0x1;;;S-1-1-0)", ("Everyone",)),
        # To write, to read the attributes and to change the access list is not to read; inherit only is for files below.
        (f"O:{USER}D:(A;;FA;;;{USER})(A;;FW;;;WD)(A;;0x120080;;;BU)(A;OICIIO;FA;;;BU)", ()),
        # A denied right is not subtracted.
        (f"O:{USER}D:(D;;FR;;;BU)(A;;FA;;;{USER})(A;;FR;;;BU)", ("Users",)),
        (f'O:{USER}D:(XA;;FR;;;AU;(@User.Title == "x"))', ("Authenticated Users",)),
        (f"O:{USER}D:(A;;GR;;;CO)(A;;GA;;;OW)", ()),
        # No access list at all, or an empty one.
        (f"O:{USER}", ("Everyone",)),
        (f"O:{USER}D:NO_ACCESS_CONTROL", ("Everyone",)),
        (f"O:{USER}D:P", ()),
        (f"O:{USER}G:BUD:AI(A;;FA;;;{USER})(A;;FA;;;BU)S:(AU;SA;FA;;;WD)", ("Users",)),
    ],
)
def test_who_else_can_read(sddl: str, others: tuple[str, ...]) -> None:
    assert other_readers(sddl, USER) == others


@pytest.mark.skipif(not WINDOWS, reason="Windows: access lists")
def test_a_file_of_the_system_has_other_readers_and_a_private_one_has_none(tmp_path: Path) -> None:
    with (Path(os.environ["SYSTEMROOT"]) / "win.ini").open("rb") as file:
        assert readers_of(file.fileno())
    private = tmp_path / "private"
    private.write_bytes(b"x")
    with private.open("rb") as file:
        assert readers_of(file.fileno()) == ()


@pytest.mark.skipif(sys.platform == "win32", reason="another system than Windows")
def test_another_system_has_no_access_list(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    with (tmp_path / "file").open("rb") as file:
        assert readers_of(file.fileno()) is None
