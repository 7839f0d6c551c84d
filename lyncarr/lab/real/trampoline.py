"""A Windows program of 1.5 KB that runs another command with its own command line behind it, and ends with that command's exit code.

Programs that Windows has and Wine lacks (iisreset.exe) or only names (netsh.exe) are made of it: what they do stands in a script.
Written byte by byte because nothing here may need a compiler for Windows. Format: https://learn.microsoft.com/windows/win32/debug/pe-format
"""

from __future__ import annotations

import struct

FUNCTIONS = ("GetCommandLineA", "lstrcatA", "CreateProcessA", "WaitForSingleObject", "GetExitCodeProcess", "ExitProcess")

SECTION = 0x1000  # where the only section lies in memory
FILE_ALIGNMENT = 0x200
IMPORTS = 0x100  # the code ends before it
IMPORT_ADDRESSES = IMPORTS
IMPORT_NAMES = IMPORT_ADDRESSES + 8 * (len(FUNCTIONS) + 1)
IMPORT_DIRECTORY = IMPORT_NAMES + 8 * (len(FUNCTIONS) + 1)
STRINGS = IMPORT_DIRECTORY + 2 * 20
LONGEST_COMMAND_LINE = 0x8000
NOT_STARTED = 9009  # cmd.exe's own answer for a program that is not there


def trampoline(command: str) -> bytes:
    """The .exe that runs `command`, an ASCII command line with a full path, followed by the command line it was itself started with.

    The script thus sees its own program's path as the first argument, and the program's arguments after it.
    """
    strings, names, library = _strings()
    exit_code = (STRINGS + len(strings) + 7) & ~7
    process = exit_code + 8  # PROCESS_INFORMATION, 24 bytes
    startup = process + 24  # STARTUPINFOA, 104 bytes
    buffer = startup + 104

    section = bytearray(buffer)
    code = _code(exit_code, process, startup, buffer)
    thunks = b"".join(struct.pack("<Q", SECTION + name) for name in names) + bytes(8)
    descriptor = struct.pack("<5I", SECTION + IMPORT_NAMES, 0, 0, SECTION + library, SECTION + IMPORT_ADDRESSES)
    for offset, part in (
        (0, code),
        (IMPORT_ADDRESSES, thunks),
        (IMPORT_NAMES, thunks),
        (IMPORT_DIRECTORY, descriptor),
        (STRINGS, strings),
        (exit_code, struct.pack("<I", NOT_STARTED)),
        (startup, struct.pack("<I", 104)),
    ):
        section[offset : offset + len(part)] = part
    section += command.encode("ascii") + b" \0"
    return _image(bytes(section), buffer + LONGEST_COMMAND_LINE, len(thunks))


def _strings() -> tuple[bytes, list[int], int]:
    """Import names with their empty hints, where each begins within the section, and where the library's name does."""
    data = bytearray()
    names = []
    for function in FUNCTIONS:
        names.append(STRINGS + len(data))
        data += struct.pack("<H", 0) + function.encode("ascii") + b"\0"
        data += bytes(len(data) % 2)
    return bytes(data) + b"kernel32.dll\0", names, STRINGS + len(data)


def _code(exit_code: int, process: int, startup: int, buffer: int) -> bytes:
    """x64 code without a branch: where CreateProcessA fails the two calls after it fail too, and NOT_STARTED stays."""
    code = bytearray()

    def at(instruction: str, target: int) -> None:
        code.extend(bytes.fromhex(instruction))
        code.extend(struct.pack("<i", target - (len(code) + 4)))

    def plain(instruction: str) -> None:
        code.extend(bytes.fromhex(instruction))

    def call(function: str) -> None:
        at("ff15", IMPORT_ADDRESSES + 8 * FUNCTIONS.index(function))

    plain("4883ec68")  # sub rsp, 0x68: shadow space, six arguments, alignment
    call("GetCommandLineA")
    at("488d0d", buffer)  # lea rcx, [buffer]
    plain("4889c2")  # mov rdx, rax
    call("lstrcatA")
    plain("31c9")  # xor ecx, ecx: no application name
    at("488d15", buffer)  # lea rdx, [buffer]
    plain("4531c0 4531c9")  # xor r8d, r8d; xor r9d, r9d: default security
    plain("48c744242001000000")  # [rsp+0x20] = 1: the script writes to this program's own output
    plain("48c744242800000000 48c744243000000000 48c744243800000000")  # flags, environment, folder: none
    at("488d05", startup)  # lea rax, [startup]
    plain("4889442440")  # [rsp+0x40] = rax
    at("488d05", process)  # lea rax, [process]
    plain("4889442448")  # [rsp+0x48] = rax
    call("CreateProcessA")
    at("488b0d", process)  # mov rcx, [process.hProcess]
    plain("baffffffff")  # mov edx, INFINITE
    call("WaitForSingleObject")
    at("488b0d", process)
    at("488d15", exit_code)  # lea rdx, [exit_code]
    call("GetExitCodeProcess")
    at("8b0d", exit_code)  # mov ecx, [exit_code]
    call("ExitProcess")
    return bytes(code)


def _image(section: bytes, size_in_memory: int, import_addresses_size: int) -> bytes:
    """Headers and one section that may be read, written and executed: a console program for x64 without relocations."""
    on_disk = (len(section) + FILE_ALIGNMENT - 1) & -FILE_ALIGNMENT
    image_size = SECTION + ((size_in_memory + 0xFFF) & ~0xFFF)
    directories = [(0, 0)] * 16
    directories[1] = (SECTION + IMPORT_DIRECTORY, 40)
    directories[12] = (SECTION + IMPORT_ADDRESSES, import_addresses_size)
    optional = struct.pack("<HBBIIIII", 0x20B, 14, 0, on_disk, 0, 0, SECTION, SECTION)
    optional += struct.pack(
        "<QIIHHHHHHIIIIHH", 0x140000000, 0x1000, FILE_ALIGNMENT, 6, 0, 0, 0, 6, 0, 0, image_size, FILE_ALIGNMENT, 0, 3, 0
    )
    optional += struct.pack("<QQQQII", 0x100000, 0x1000, 0x100000, 0x1000, 0, 16)
    optional += b"".join(struct.pack("<II", *directory) for directory in directories)
    headers = b"MZ" + bytes(58) + struct.pack("<I", 64) + b"PE\0\0"
    headers += struct.pack("<HHIIIHH", 0x8664, 1, 0, 0, 0, len(optional), 0x22) + optional
    headers += struct.pack("<8sIIIIIIHHI", b".text", size_in_memory, SECTION, on_disk, FILE_ALIGNMENT, 0, 0, 0, 0, 0xE0000020)
    return headers.ljust(FILE_ALIGNMENT, b"\0") + section.ljust(on_disk, b"\0")
