"""Who can read or change a file on Windows, by its access list.

The access list is read as SDDL, the text form of Windows, and judged by functions of that text, which the tests run on every system.
https://learn.microsoft.com/windows/win32/secauthz/security-descriptor-string-format and /ace-strings
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ALLOWED = frozenset(
    {
        "S-1-5-18",
        "SY",
        "S-1-5-32-544",
        "BA",
        "LA",
        "DA",
        "EA",
        "S-1-3-0",
        "CO",
        "S-1-3-4",
        "OW",
        # TrustedInstaller, which owns the programs of Windows.
        "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464",
    }
)
"""SYSTEM and administrators, who can change every file; the creator and the rights of the owner, which stand for the owner."""
_ADMINISTRATOR = re.compile(r"S-1-5-21-[0-9-]+-(?:500|512|519)")
"""The built-in Administrator, Domain Admins and Enterprise Admins."""
NAMES = {
    "WD": "Everyone",
    "S-1-1-0": "Everyone",
    "BU": "Users",
    "S-1-5-32-545": "Users",
    "AU": "Authenticated Users",
    "S-1-5-11": "Authenticated Users",
    "IU": "Interactive",
    "S-1-5-4": "Interactive",
    "BG": "Guests",
    "DU": "Domain Users",
    "AN": "Anonymous",
    "AC": "All Application Packages",
}
EVERYONE = "Everyone"
RIGHTS = {
    "GA": 0x10000000,
    "GX": 0x20000000,
    "GW": 0x40000000,
    "GR": 0x80000000,
    "FA": 0x1F01FF,
    "FR": 0x120089,
    "FW": 0x120116,
    "FX": 0x1200A0,
    "SD": 0x10000,
    "RC": 0x20000,
    "WD": 0x40000,
    "WO": 0x80000,
    "CC": 0x1,
    "DC": 0x2,
    "LC": 0x4,
    "SW": 0x8,
    "RP": 0x10,
    "WP": 0x20,
    "DT": 0x40,
    "LO": 0x80,
    "CR": 0x100,
}
"""The bits of each right. The bits of files below 0x200 have only the names that SDDL gives to those of directory objects."""
READ = RIGHTS["GA"] | RIGHTS["GR"] | 0x1
_CONTROL = RIGHTS["GA"] | RIGHTS["WD"] | RIGHTS["WO"]
"""All rights, or to change the access list or the owner."""
WRITE = _CONTROL | RIGHTS["GW"] | RIGHTS["SD"] | 0x2 | 0x4
"""To write, append to or delete a file."""
REPLACE = _CONTROL | RIGHTS["SD"] | 0x40
"""To delete or rename what is in a folder, or the folder itself. Not to add files, which every user may in C:\\ProgramData."""
REPLACE_IN_ROOT = REPLACE & ~RIGHTS["SD"]
"""The same for the root of a disk, which cannot be renamed: Windows gives all users the right on every disk but its own."""
ADD = REPLACE | RIGHTS["GW"] | 0x2
"""To add a file too. A program loads libraries that are in its folder."""
ACE_PARTS = 6


def other_readers(sddl: str, user: str) -> tuple[str, ...]:
    """The names, or SIDs, of the accounts that can read a file with this security descriptor, without `user` and administrators.

    `user` is the SID of the user. The owner counts as the user: he can give himself any right. Denied rights are not subtracted, so the
    answer can name an account too many, and never one too few.
    """
    return _others(sddl, READ, {user, _owner(sddl)})


def other_writers(sddl: str, user: str, rights: int) -> tuple[str, ...]:
    """As other_readers, for `rights`: WRITE, REPLACE, REPLACE_IN_ROOT or ADD. Another owner is one of the accounts."""
    owner = _owner(sddl)
    owners = () if not owner or owner == user or _is_allowed(owner) else (NAMES.get(owner, owner),)
    return tuple(dict.fromkeys((*owners, *_others(sddl, rights, {user}))))


def _others(sddl: str, rights: int, users: set[str]) -> tuple[str, ...]:
    flags, entries = _access_list(sddl)
    if entries is None or "NO_ACCESS_CONTROL" in flags:
        return (EVERYONE,)
    found: dict[str, None] = {}
    for entry in entries:
        parts = entry.split(";")
        if len(parts) < ACE_PARTS:
            continue
        kind, inheritance, granted, account = parts[0], parts[1], parts[2], parts[5]
        inherit_only = "IO" in re.findall("..", inheritance)
        if kind in ("A", "XA", "OA") and not inherit_only and _mask(granted) & rights and account not in users and not _is_allowed(account):
            found[NAMES.get(account, account)] = None
    return tuple(found)


def _owner(sddl: str) -> str:
    found = re.match(r"O:(S-[0-9-]+|[A-Z]{2})", sddl)
    return found[1] if found else ""


def _is_allowed(account: str) -> bool:
    return account in ALLOWED or _ADMINISTRATOR.fullmatch(account) is not None


def _access_list(sddl: str) -> tuple[str, list[str] | None]:
    """The flags and the entries of the access list; None without one, which lets everyone do everything.

    The condition of an entry can have parentheses of its own.
    """
    start = re.search(r"D:([A-Z_]*)", sddl)
    if start is None:
        return "", None
    entries, depth, begin = [], 0, 0
    for at in range(start.end(), len(sddl)):
        character = sddl[at]
        if character == "(":
            begin = begin if depth else at + 1
            depth += 1
        elif character == ")":
            depth -= 1
            if depth == 0:
                entries.append(sddl[begin:at])
        elif depth == 0:
            break
    return start[1], entries


def _mask(rights: str) -> int:
    if rights.lower().startswith("0x"):
        return int(rights, 16)
    mask = 0
    for name in re.findall("..", rights):
        mask |= RIGHTS.get(name, 0)
    return mask


def readers_of(descriptor: int) -> tuple[str, ...] | None:
    """Who else can read the open file; None where that is not known: on another system, or on a disk without access lists."""
    if sys.platform != "win32":
        return None
    import ctypes
    import msvcrt
    from ctypes import wintypes

    advapi = ctypes.WinDLL("advapi32", use_last_error=True)
    handle = wintypes.HANDLE(msvcrt.get_osfhandle(descriptor))
    security = ctypes.c_void_p()
    if advapi.GetSecurityInfo(handle, _FILE_OBJECT, _OWNER_AND_DACL, None, None, None, None, ctypes.byref(security)):
        return None
    sddl = _text_of(security)
    return None if sddl is None else other_readers(sddl, _user_sid())


def writers_of(path: Path, rights: int) -> tuple[str, ...] | None:
    """Who else has one of `rights` to the file or folder, as other_writers says; None where that is not known."""
    if sys.platform != "win32":
        return None
    import ctypes

    advapi = ctypes.WinDLL("advapi32", use_last_error=True)
    security = ctypes.c_void_p()
    name = ctypes.c_wchar_p(str(path))
    if advapi.GetNamedSecurityInfoW(name, _FILE_OBJECT, _OWNER_AND_DACL, None, None, None, None, ctypes.byref(security)):
        return None
    sddl = _text_of(security)
    return None if sddl is None else other_writers(sddl, _user_sid(), rights)


_FILE_OBJECT = 1
_OWNER_AND_DACL = 0x1 | 0x4


def _text_of(security: object) -> str | None:
    """The SDDL of a security descriptor, which is freed. None where Windows cannot write it."""
    if sys.platform != "win32":
        return None
    import ctypes
    from ctypes import wintypes

    advapi, kernel = ctypes.WinDLL("advapi32", use_last_error=True), ctypes.WinDLL("kernel32", use_last_error=True)
    text, revision = wintypes.LPWSTR(), 1
    try:
        converted = advapi.ConvertSecurityDescriptorToStringSecurityDescriptorW(
            security, revision, _OWNER_AND_DACL, ctypes.byref(text), None
        )
        return text.value if converted else None
    finally:
        kernel.LocalFree(text)
        kernel.LocalFree(security)


def restrict(path: Path) -> None:
    """Let only this user, SYSTEM and administrators use a file. Does nothing on other systems, and on a disk without access lists.

    A new file of Windows has the access list of its folder, which often lets all users read.
    """
    if sys.platform != "win32":
        return
    import ctypes
    from ctypes import wintypes

    advapi, kernel = ctypes.WinDLL("advapi32", use_last_error=True), ctypes.WinDLL("kernel32", use_last_error=True)
    revision, dacl = 1, 0x4
    security = ctypes.c_void_p()
    text = f"D:P(A;;FA;;;{_user_sid() or 'OW'})(A;;FA;;;SY)(A;;FA;;;BA)"
    if not advapi.ConvertStringSecurityDescriptorToSecurityDescriptorW(wintypes.LPCWSTR(text), revision, ctypes.byref(security), None):
        return
    advapi.SetFileSecurityW(wintypes.LPCWSTR(str(path)), dacl, security)
    kernel.LocalFree(security)


def _user_sid() -> str:
    """The SID of the user of this process, "" where Windows does not tell it."""
    if sys.platform != "win32":
        return ""
    import ctypes
    from ctypes import wintypes

    advapi, kernel = ctypes.WinDLL("advapi32", use_last_error=True), ctypes.WinDLL("kernel32", use_last_error=True)
    kernel.GetCurrentProcess.restype = wintypes.HANDLE
    query, token_user = 0x8, 1
    token, size = wintypes.HANDLE(), wintypes.DWORD()
    if not advapi.OpenProcessToken(wintypes.HANDLE(kernel.GetCurrentProcess()), query, ctypes.byref(token)):
        return ""
    try:
        advapi.GetTokenInformation(token, token_user, None, 0, ctypes.byref(size))
        data = ctypes.create_string_buffer(size.value)
        if not advapi.GetTokenInformation(token, token_user, data, size, ctypes.byref(size)):
            return ""
        # TOKEN_USER begins with the pointer to the SID.
        sid, text = ctypes.cast(data, ctypes.POINTER(ctypes.c_void_p)).contents, wintypes.LPWSTR()
        if not advapi.ConvertSidToStringSidW(sid, ctypes.byref(text)):
            return ""
        found = text.value or ""
        kernel.LocalFree(text)
        return found
    finally:
        kernel.CloseHandle(token)
