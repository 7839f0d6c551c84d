"""Who else can change what `command:` runs: by mode on POSIX, by access lists as Windows writes them, and by folders and links."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from lyncarr.core.errors import ConfigurationError
from lyncarr.secrets import acl, sources, writers
from lyncarr.secrets.acl import ADD, REPLACE, REPLACE_IN_ROOT, WRITE, other_writers
from lyncarr.secrets.program import line_of
from lyncarr.secrets.writers import modes_are_made_up, places, refuse_changeable, writers_by_mode
from tests.platforms import WINDOWS, own_python, posix

POSIX = posix("file modes")
ME, PRIVATE, ROOT, TEAM, OTHER = 1000, 1000, 0, 50, 1002
FILE, FOLDER, LINK = stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK


@pytest.mark.parametrize(
    ("kind", "mode", "owner", "group", "has_acl", "who", "bits"),
    [
        (FILE, 0o644, ME, PRIVATE, False, "", ""),
        (FILE, 0o755, ROOT, ROOT, False, "", ""),
        # The umask 002 goes with a group for each user.
        (FILE, 0o664, ME, PRIVATE, False, "", ""),
        (FILE, 0o664, ME, PRIVATE, True, "an account of its access list", "g-w"),
        (FILE, 0o644, ME, PRIVATE, True, "", ""),
        (FILE, 0o664, ME, ROOT, False, "", ""),
        (FILE, 0o664, ME, TEAM, False, "the group 50", "g-w"),
        (FILE, 0o666, ME, PRIVATE, False, "every user", "o-w"),
        (FILE, 0o666, ME, TEAM, False, "every user", "g-w,o-w"),
        (FILE, 0o600, OTHER, PRIVATE, False, "1002", ""),
        # In a container, a file of a user outside of it.
        (FOLDER, 0o755, 65534, 65534, False, "", ""),
        (FOLDER, 0o777, ROOT, ROOT, False, "every user", "o-w"),
        (FOLDER, 0o1777, ROOT, ROOT, False, "", ""),
        (FOLDER, 0o1777, OTHER, ROOT, False, "1002", ""),
        (FOLDER, 0o2775, ROOT, TEAM, False, "the group 50", "g-w"),
        # A link has no mode, but an owner.
        (LINK, 0o777, ME, TEAM, False, "", ""),
        (LINK, 0o777, OTHER, TEAM, False, "1002", ""),
    ],
)
def test_who_else_can_write_by_mode(kind: int, mode: int, owner: int, group: int, has_acl: bool, who: str, bits: str) -> None:
    status = os.stat_result((kind | mode, 0, 0, 1, owner, group, 0, 0, 0, 0))
    found, removed = writers_by_mode(
        status, ME, has_acl=has_acl, is_private=lambda group, user: (group, user) == (PRIVATE, ME), names=(str, str)
    )
    assert (found, ",".join({stat.S_IWGRP: "g-w", stat.S_IWOTH: "o-w"}[bit] for bit in removed)) == (who, bits)


@POSIX
@pytest.mark.parametrize(
    ("group", "private"),
    [
        (("me", 1000, []), True),
        (("me", 1000, ["me"]), True),
        (("me", 1000, ["me", "other"]), False),
        # Another account has it as its primary group.
        (("me", 1002, []), False),
        (("staff", 50, []), True),
        (("staff", 50, ["root"]), True),
        (("staff", 50, ["other"]), False),
        (("team", 1000, []), False),
        (("users", 100, []), False),
        (None, False),
    ],
)
def test_a_group_without_other_members(group: tuple[str, int, list[str]] | None, private: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    import grp
    import pwd

    def groups(number: int) -> grp.struct_group:
        if group is None:
            raise KeyError(number)
        return grp.struct_group((group[0], "x", group[1], group[2]))

    accounts = [pwd.struct_passwd((name, "x", number, number, "", "", "")) for name, number in (("root", 0), ("me", ME), ("other", OTHER))]
    monkeypatch.setattr(grp, "getgrgid", groups)
    monkeypatch.setattr(pwd, "getpwall", lambda: accounts)
    monkeypatch.setattr(pwd, "getpwuid", {account.pw_uid: account for account in accounts}.__getitem__)
    assert writers._is_private(group[1] if group else 7, ME) is private


USER = "S-1-5-21-1004336348-1177238915-682003330-1001"
OTHER_USER = "S-1-5-21-1004336348-1177238915-682003330-1002"
DOMAIN_ADMINS = "S-1-5-21-1004336348-1177238915-682003330-512"
INSTALLER = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"
PROGRAM_FILES = f"O:{INSTALLER}D:PAI(A;;FA;;;{INSTALLER})(A;CIIO;GA;;;{INSTALLER})(A;;0x1301bf;;;SY)(A;OICIIO;GA;;;SY)(A;;0x1301bf;;;BA)"
PROGRAM_FILES += "(A;OICIIO;GA;;;BA)(A;;0x1200a9;;;BU)(A;OICIIO;GXGR;;;BU)(A;OICIIO;GA;;;CO)(A;;0x1200a9;;;AC)(A;OICIIO;GXGR;;;AC)"
DISK_C = "O:BAD:PAI(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)(A;OICI;0x1200a9;;;BU)(A;OICIIO;SDGXGWGR;;;AU)(A;;LC;;;AU)"
DISK_D = "O:BAD:PAI(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)(A;OICI;0x1200a9;;;BU)(A;OICI;0x1301bf;;;AU)"
PROGRAM_DATA = "O:SYD:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICIIO;GA;;;CO)(A;OICI;0x1200a9;;;BU)(A;CI;DCLCRPCR;;;BU)"


@pytest.mark.parametrize(
    ("sddl", "rights", "others"),
    [
        # The folders that Windows has, as it writes their access lists.
        (PROGRAM_FILES, ADD, ()),
        (DISK_C, REPLACE_IN_ROOT, ()),
        (DISK_D, REPLACE_IN_ROOT, ()),
        (DISK_D, REPLACE, ("Authenticated Users",)),
        (PROGRAM_DATA, REPLACE, ()),
        (PROGRAM_DATA, ADD, ("Users",)),
        (f"O:{USER}D:(A;OICIID;FA;;;SY)(A;OICIID;FA;;;BA)(A;OICIID;FA;;;{USER})", ADD, ()),
        # A folder on C:\ that was made by hand, and a file in it.
        ("O:BAD:AI(A;OICIID;FA;;;BA)(A;OICIID;FA;;;SY)(A;OICIID;0x1200a9;;;BU)(A;ID;0x1301bf;;;AU)", REPLACE, ("Authenticated Users",)),
        ("O:BAD:AI(A;ID;FA;;;BA)(A;ID;FA;;;SY)(A;ID;0x1200a9;;;BU)(A;ID;0x1301bf;;;AU)", WRITE, ("Authenticated Users",)),
        # Single rights to a file.
        (f"O:{USER}D:(A;;FA;;;{USER})(A;;FR;;;WD)(A;;FX;;;BU)", WRITE, ()),
        (f"O:{USER}D:(A;;FA;;;{USER})(A;;FW;;;BU)", WRITE, ("Users",)),
        (f"O:{USER}D:(A;;FA;;;{USER})(A;;DC;;;BU)(A;;LC;;;AU)(A;;SD;;;IU)", WRITE, ("Users", "Authenticated Users", "Interactive")),
        (f"O:{USER}D:(A;;FA;;;{USER})(A;;0x40000;;;BU)(A;;WO;;;WD)", WRITE, ("Users", "Everyone")),
        (f"O:{USER}D:(A;;FA;;;{USER})(A;OICIIO;FA;;;BU)", WRITE, ()),
        # Owners. One that is not the user can give himself any right.
        (f"O:{OTHER_USER}D:P(A;;FA;;;{USER})", WRITE, (OTHER_USER,)),
        (f"O:{OTHER_USER}D:P(A;;FA;;;{OTHER_USER})", WRITE, (OTHER_USER,)),
        (f"O:{DOMAIN_ADMINS}D:P(A;;FA;;;{DOMAIN_ADMINS})(A;;FA;;;DA)(A;;FA;;;LA)", WRITE, ()),
        ("O:BUD:P", REPLACE, ("Users",)),
        (f"O:{USER}D:NO_ACCESS_CONTROL", WRITE, ("Everyone",)),
    ],
)
def test_who_else_can_write_by_access_list(sddl: str, rights: int, others: tuple[str, ...]) -> None:
    assert other_writers(sddl, USER, rights) == others


def test_each_place_is_asked_for_the_rights_that_matter_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[Path, int] = {}
    monkeypatch.setattr(acl, "writers_of", lambda path, rights: asked.setdefault(path, rights) and None)
    file = tmp_path / "folder" / "op.exe"
    file.parent.mkdir()
    file.touch()
    for program, of_folder in ((True, ADD), (False, REPLACE)):
        asked.clear()
        for place in places(file):
            assert writers._windows_writers(place, file, program) is None
        assert (asked[file], asked[file.parent], asked[tmp_path]) == (WRITE, of_folder, REPLACE)
        assert asked[Path(file.anchor)] == REPLACE_IN_ROOT
    monkeypatch.setattr(acl, "writers_of", lambda path, rights: ("Users", "Everyone"))
    assert writers._windows_writers(file, file, True) == ("Users, Everyone", "")


@pytest.mark.skipif(not WINDOWS, reason="Windows: access lists")
def test_an_access_list_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    private = tmp_path / "private"
    private.touch()
    assert [acl.writers_of(private, WRITE), acl.writers_of(tmp_path, ADD)] == [(), ()]
    assert acl.writers_of(tmp_path / "absent", WRITE) is None
    # For another user, this user is another account.
    user = acl._user_sid()
    assert user.startswith("S-1-5-21-")
    monkeypatch.setattr(acl, "_user_sid", lambda: OTHER_USER)
    assert acl.writers_of(private, WRITE) == (user,)


@pytest.mark.skipif(WINDOWS, reason="another system than Windows")
def test_another_system_has_no_access_list(tmp_path: Path) -> None:
    assert acl.writers_of(tmp_path, WRITE) is None


MOUNTS = """\
/dev/sdb / ext4 rw,relatime,discard 0 0
C:\\134 /mnt/c 9p rw,noatime,aname=drvfs;path=C:\\;uid=1000;gid=1000;symlinkroot=/mnt/,trans=fd,rfd=5,wfd=5 0 0
D:\\134 /mnt/my\\040disk drvfs rw,noatime 0 0
tmpfs /mnt/c/linux tmpfs rw 0 0
share /mnt/host 9p rw,trans=virtio 0 0
"""


@pytest.mark.parametrize(
    ("place", "made_up"),
    [
        ("/mnt/c/Users/a/lyncarr.toml", True),
        ("/mnt/my disk/lyncarr.toml", True),
        ("/mnt/c/linux/lyncarr.toml", False),
        ("/mnt/cc", False),
        ("/mnt", False),
        ("/home/a/lyncarr.toml", False),
        ("/mnt/host/lyncarr.toml", False),
    ],
)
def test_the_modes_of_windows_disks_in_wsl_say_nothing(place: str, made_up: bool) -> None:
    assert modes_are_made_up(Path(place), MOUNTS) is made_up
    assert not modes_are_made_up(Path(place), "")


@POSIX
def test_links_lead_to_more_places(tmp_path: Path) -> None:
    real = tmp_path / "real" / "folder"
    real.mkdir(parents=True)
    (real / "file").touch()
    (tmp_path / "link").symlink_to("real/folder")
    (real / "alias").symlink_to("file")
    found = set(places(tmp_path / "link" / "alias"))
    assert {tmp_path / "link" / "alias", tmp_path / "link", tmp_path / "real", tmp_path, Path("/")} <= found
    assert real in found
    (tmp_path / "round").symlink_to("round")
    assert tmp_path in set(places(tmp_path / "round"))


@POSIX
@pytest.mark.parametrize("changed", ["file", "folder", "above", "link"])
def test_a_place_that_every_user_can_write_is_named_with_the_command_that_ends_it(changed: str, tmp_path: Path) -> None:
    folder = tmp_path / "my site"
    folder.mkdir(mode=0o700)
    site = folder / "lyncarr.toml"
    site.touch(mode=0o600)
    place = {"file": site, "folder": folder, "above": tmp_path, "link": folder}[changed]
    path = site
    if changed == "link":
        path = tmp_path / "alias.toml"
        path.symlink_to(site)
    refuse_changeable(path, "the configuration file")
    place.chmod(place.stat().st_mode | 0o002)
    with pytest.raises(ConfigurationError, match="Other accounts can change the configuration file") as caught:
        refuse_changeable(path, "the configuration file")
    on = "it" if changed == "file" else f"the folder {place}"
    assert caught.value.message.endswith(f": every user can write {on}.")
    command = caught.value.hint.splitlines()[-1].strip()
    assert command == line_of(["chmod", "o-w", str(place)])
    assert os.system(command) == 0
    refuse_changeable(path, "the configuration file")


@pytest.fixture
def reference(tmp_path: Path) -> str:
    """Of a program that leaves a mark."""
    (tmp_path / "give.py").write_text("open('ran', 'w').close(); print('secret')")
    return f"command:{line_of([own_python(tmp_path), 'give.py'])}"


def changeable(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `name` be a file that other accounts can write, on every system."""
    if WINDOWS:
        monkeypatch.setattr(acl, "writers_of", lambda path, rights: ("Users",) if path.name == name else ())
    else:
        real = writers._posix_writers
        monkeypatch.setattr(writers, "_posix_writers", lambda place: ("the group staff", "") if place.name == name else real(place))


def test_a_command_of_a_configuration_file_that_others_can_change_does_not_run(
    reference: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "lyncarr.toml"
    site.touch(mode=0o600)
    changeable(site.name, monkeypatch)
    with pytest.raises(ConfigurationError, match="can change the configuration file") as caught:
        sources.resolve(reference, base=tmp_path, ask=None, account="x", written_in=site)
    assert caught.value.exit_code == 78
    assert "move it into a folder that only you can write" in caught.value.hint
    assert not (tmp_path / "ran").exists()
    # From the command line, the same command is the user's own.
    assert sources.resolve(reference, base=tmp_path, ask=None, account="x").reveal() == "secret"
    # Other sources run nothing.
    monkeypatch.setenv("RP01_PASSWORD", "x")
    assert sources.resolve("env:RP01_PASSWORD", base=tmp_path, ask=None, account="x", written_in=site).reveal() == "x"


def test_a_program_that_others_can_change_does_not_run(reference: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changeable(Path(own_python(tmp_path)).name, monkeypatch)
    with pytest.raises(ConfigurationError, match="Other accounts can change the program"):
        sources.resolve(reference, base=tmp_path, ask=None, account="x")
    assert not (tmp_path / "ran").exists()


@POSIX
def test_an_access_list_of_posix_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "lyncarr.toml"
    site.touch()
    site.chmod(0o664)
    if sys.platform == "linux":
        # Version 2: the owner, a named user (1), the group, the mask and the others, with their rights.
        entries = [(0x01, 6, 0xFFFFFFFF), (0x02, 6, 1), (0x04, 4, 0xFFFFFFFF), (0x10, 6, 0xFFFFFFFF), (0x20, 4, 0xFFFFFFFF)]
        data = b"\2\0\0\0" + b"".join(
            tag.to_bytes(2, "little") + right.to_bytes(2, "little") + who.to_bytes(4, "little") for tag, right, who in entries
        )
        try:
            os.setxattr(site, "system.posix_acl_access", data)
        except OSError as error:
            pytest.skip(f"this file system has no access lists: {error.strerror}")
        with pytest.raises(ConfigurationError, match="an account of its access list can write it"):
            refuse_changeable(site, "the configuration file")
