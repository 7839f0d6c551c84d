"""Who can read a file on Windows, by its access list.

The access list is read as SDDL, the text form of Windows, and judged by a function of that text, which the tests run on every system.
https://learn.microsoft.com/windows/win32/secauthz/security-descriptor-string-format and /ace-strings
"""

from __future__ import annotations

import re
import sys

ALLOWED = ("S-1-5-18", "SY", "S-1-5-32-544", "BA", "S-1-3-0", "CO", "S-1-3-4", "OW")
"""SYSTEM and Administrators, who can read every file; the creator and the rights of the owner, which stand for the owner."""
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
READ = frozenset({"FA", "FR", "GA", "GR", "CC"})
"""Rights that include reading the content: all or read access to files, generic all or read, and the name of the bit FILE_READ_DATA."""
ACE_PARTS = 6
READ_MASK = 0x1 | 0x10000000 | 0x80000000


def other_readers(sddl: str, user: str) -> tuple[str, ...]:
    """The names, or SIDs, of the accounts that can read a file with this security descriptor, without `user` and administrators.

    `user` is the SID of the user. The owner counts as the user: he can give himself any right. Denied rights are not subtracted, so the
    answer can name an account too many, and never one too few.
    """
    owner = re.match(r"O:(S-[0-9-]+|[A-Z]{2})", sddl)
    flags, entries = _access_list(sddl)
    if entries is None or "NO_ACCESS_CONTROL" in flags:
        return (EVERYONE,)
    found: dict[str, None] = {}
    for entry in entries:
        parts = entry.split(";")
        if len(parts) < ACE_PARTS:
            continue
        kind, inheritance, rights, account = parts[0], parts[1], parts[2], parts[5]
        inherit_only = "IO" in re.findall("..", inheritance)
        if kind in ("A", "XA", "OA") and not inherit_only and _reads(rights) and account not in (*ALLOWED, owner and owner[1], user):
            found[NAMES.get(account, account)] = None
    return tuple(found)


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


def _reads(rights: str) -> bool:
    if rights.lower().startswith("0x"):
        return bool(int(rights, 16) & READ_MASK)
    return not READ.isdisjoint(re.findall("..", rights))


def readers_of(descriptor: int) -> tuple[str, ...] | None:
    """Who else can read the open file; None where that is not known: on another system, or on a disk without access lists."""
    if sys.platform != "win32":
        return None
    import ctypes
    import msvcrt
    from ctypes import wintypes

    advapi, kernel = ctypes.WinDLL("advapi32", use_last_error=True), ctypes.WinDLL("kernel32", use_last_error=True)
    handle = wintypes.HANDLE(msvcrt.get_osfhandle(descriptor))
    file_object, owner_and_dacl, revision = 1, 0x1 | 0x4, 1
    security, text = ctypes.c_void_p(), wintypes.LPWSTR()
    if advapi.GetSecurityInfo(handle, file_object, owner_and_dacl, None, None, None, None, ctypes.byref(security)):
        return None
    try:
        converted = advapi.ConvertSecurityDescriptorToStringSecurityDescriptorW(
            security, revision, owner_and_dacl, ctypes.byref(text), None
        )
        if not converted or text.value is None:
            return None
        sddl = text.value
    finally:
        kernel.LocalFree(text)
        kernel.LocalFree(security)
    return other_readers(sddl, _user_sid())


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
