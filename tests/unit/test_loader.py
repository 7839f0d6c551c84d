"""Every problem of a configuration file names the file, the line, the key, what is wrong and what is expected, and never a secret."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest

from lyncarr.config.loader import load_hosts, load_site
from lyncarr.core.errors import SiteError
from tests.patience import HANG_S
from tests.platforms import posix

CANARY = "Canary-7f3a"
OF_FARM = "` of meet.contoso.com"
FARM = '[[farms]]\nname = "meet.contoso.com"\nservers = ["fepool.contoso.local"]\n'

WHOLE = f"""
[hosts.rp01]
address = "192.0.2.10"
user = "Administrator"
password = "env:RP01_PASSWORD"
auth = "ntlm"
tls = "pin:sha256:{"ab" * 32}"
port = 15986

[hosts."rp02.contoso.com"]
auth = "certificate"
certificate = "client.pem"
key = "client.key"

[certificates]
trusted_roots = ["certs/contoso-root.cer"]
public = "certs/public.pfx"
password = "env:LYNCARR_PFX_PASSWORD"

[website]
name = "Default Web Site"
https = "*:443:"

[installers]
source = "msi"
url_rewrite = "media/rewrite_amd64_en-US.msi"
arr = "https://files.contoso.com/requestRouter_amd64.msi"
sha256 = {{ arr = "{"cd" * 32}" }}
publisher = "Microsoft Corporation"

{FARM}"""


def problems(text: str | bytes, folder: Path) -> list[str]:
    """The problems that loading `text` reports, each with its line: '3: `website.name` is 7; expected ...'."""
    path = folder / "lyncarr.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SiteError) as caught:
        load_site(path)
    assert caught.value.exit_code == 65
    assert CANARY not in "".join(traceback.format_exception(caught.value)) + str(caught.value.detail)
    found = []
    for problem in caught.value.problems:
        assert problem.location.startswith(str(path))
        assert problem.message.isprintable()
        assert problem.message.endswith((".", "?"))
        line = problem.location.removeprefix(f"{path}").removeprefix(":")
        found.append(f"{line}: {problem.message}" if line else problem.message)
    assert str(caught.value).splitlines() == [f"{problem.location}: {problem.message}" for problem in caught.value.problems]
    return found


def test_a_complete_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "lyncarr.toml"
    path.write_text(WHOLE, encoding="utf-8")
    site = load_site(path)
    host = site.hosts["rp01"]
    assert (host.address, host.user, host.password, host.auth, host.port) == (
        "192.0.2.10",
        "Administrator",
        "env:RP01_PASSWORD",
        "ntlm",
        15986,
    )
    assert host.tls == "pin:sha256:" + "AB" * 32
    assert (site.hosts["rp02.contoso.com"].address, site.hosts["rp02.contoso.com"].key) == (None, tmp_path / "client.key")
    assert site.certificates.public == tmp_path / "certs" / "public.pfx"
    assert site.installers.arr == "https://files.contoso.com/requestRouter_amd64.msi"
    assert site.installers.sha256.arr == "CD" * 32
    assert [farm.name for farm in site.farms] == ["meet.contoso.com"]


@pytest.mark.parametrize(
    "data", [WHOLE.encode(), WHOLE.replace("\n", "\r\n").encode(), b"\xef\xbb\xbf" + WHOLE.encode()], ids=["LF", "CRLF", "BOM"]
)
def test_line_ends_and_a_byte_order_mark_do_not_matter(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "lyncarr.toml"
    path.write_bytes(data)
    assert load_site(path).hosts["rp01"].address == "192.0.2.10"


def test_a_file_of_a_megabyte_is_read_and_a_longer_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "lyncarr.toml"
    path.write_bytes(FARM.encode() + b"#" * (1024 * 1024 - len(FARM)))
    assert load_site(path).farms
    assert problems(FARM.encode() + b"#" * (1024 * 1024 - len(FARM) + 1), tmp_path) == [
        "the file is larger than 1 MB, which is the maximum."
    ]


def test_a_missing_file_names_init(tmp_path: Path) -> None:
    with pytest.raises(SiteError, match=r"lyncarr.toml: the configuration file does not exist\.$") as caught:
        load_site(tmp_path / "lyncarr.toml")
    assert "lyncarr init DOMAIN" in caught.value.hint


@pytest.mark.parametrize("load", [load_site, load_hosts])
def test_a_folder_is_reported_as_one(load: Callable[[Path], object], tmp_path: Path) -> None:
    with pytest.raises(SiteError) as caught:
        load(tmp_path)
    assert str(caught.value) == f"{tmp_path} is a folder; give a file."
    assert "--site FILE" in caught.value.hint


@posix("files and folders of POSIX")
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("file/lyncarr.toml", "the configuration file does not exist"),
        ("a" * 300, "cannot be read (file name too long)"),
        ("loop", "cannot be read (too many levels of symbolic links)"),
        ("socket", "is a device, a pipe or a socket; give a file"),
    ],
)
def test_other_paths_that_cannot_be_read(name: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
    with pytest.raises(SiteError, match=re.escape(reason)):
        load_site(tmp_path / name)


@pytest.mark.parametrize("text", ["", " \n", "\ufeff"])
def test_an_empty_file_is_reported_as_one(text: str, tmp_path: Path) -> None:
    assert problems(text, tmp_path) == ["the configuration file is empty."]


@posix("named pipes in a folder")
def test_a_pipe_can_be_read(tmp_path: Path) -> None:
    """As the shells make one for <(command)."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = Thread(target=pipe.write_text, args=(FARM,))
    writer.start()
    assert load_site(pipe).farms
    writer.join()


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_reported(encoding: str, tmp_path: Path) -> None:
    assert problems(FARM.encode(encoding), tmp_path) == ["the file is UTF-16; only UTF-8 is supported."]


def test_another_encoding_is_reported_with_its_line(tmp_path: Path) -> None:
    assert problems(FARM.encode() + "# für alle".encode("latin-1"), tmp_path) == ["4: this line is not UTF-8."]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[website]\n[website]\n", "2:9: the table [website] is defined twice; define each table once."),
        ("[farms]\n[farms]\n", "2:7: the table [farms] is defined twice; define each table once."),
        ("[website]\nname = 'a'\nname = 'b'\n", "3:11: the key 'name' is defined twice in its table; define each key once."),
        ("[website]\nname = 'a'\nname = 'b'", "3: the key 'name' is defined twice in its table; define each key once."),
        (
            "website = { name = 'a', name = 'b' }",
            "1:35: not valid TOML (Duplicate inline table key 'name'); write key = value, [table] or # comment.",
        ),
        ("disk_cache = yes", "1:14: the value of `disk_cache` has no quotes; use true, or put text in quotes."),
        ("disk_cache = no", "1:14: the value of `disk_cache` has no quotes; use false, or put text in quotes."),
        ("x = False", "1:5: the value of `x` has no quotes; use false, or put text in quotes."),
        ("name = meet.contoso.com", "1:8: the value of `name` has no quotes; put text in quotes."),
        ('name = "a', "1: the file ends inside a value (Unterminated string); close every string, list and table."),
        (
            r'public = "certs\public.pfx"',
            "1:18: a backslash in double quotes starts an escape sequence; use single quotes around the text, or / in paths.",
        ),
        (
            r'public = "C:\Users\x.pfx"',
            "1:15: a backslash in double quotes starts an escape sequence; use single quotes around the text, or / in paths.",
        ),
        ("a = " + "[" * 100_000, "lists or tables are nested too deeply."),
        (".".join("a" * 400_000) + " = 1", "a key has more than 64 parts."),
        ("a = " + "1" * 5000, "a number has thousands of digits."),
    ],
)
def test_invalid_toml_is_explained_with_line_and_column(text: str, expected: str, tmp_path: Path) -> None:
    assert problems(text, tmp_path) == [expected]


@pytest.mark.parametrize("letter", "btnfr")
@pytest.mark.parametrize(
    ("key", "table"),
    [
        ("certificates.trusted_roots[0]", '[certificates]\ntrusted_roots = ["certs@.cer"]'),
        ("certificates.public", '[certificates]\npublic = "certs@.pfx"'),
        ("certificates.password", '[certificates]\npublic = "a.pfx"\npassword = "file:certs@"'),
        ("certificates.password", '[certificates]\npublic = "a.pfx"\npassword = "command:C:@op read x"'),
        ("certificates.password", '[certificates]\npublic = "a.pfx"\npassword = "keyring:CONTOSO@x"'),
        ("hosts.a.user", '[hosts.a]\nuser = "CONTOSO@x"'),
        ("hosts.a.tls", '[hosts.a]\ntls = "ca:certs@.pem"'),
        ("hosts.a.certificate", '[hosts.a]\nauth = "certificate"\ncertificate = "certs@.pem"\nkey = "x"'),
        ("hosts.a.key", '[hosts.a]\nauth = "certificate"\ncertificate = "x"\nkey = "certs@.pem"'),
        ("hosts.a.password", '[hosts.a]\npassword = "file:certs@"'),
        ("installers.arr", '[installers]\narr = "media@.msi"'),
        ("installers.feed", '[installers]\nfeed = "C:@.xml"'),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_backslash_that_double_quotes_swallow_is_explained(letter: str, key: str, table: str, end: str, tmp_path: Path) -> None:
    """\\t and its kind are valid in TOML, so the value arrives with a control character. Paths and accounts of Windows have backslashes."""
    text = f"{table.replace('@', f'{chr(92)}{letter}x')}\n{FARM}".replace("\n", end)
    (problem,) = problems(text, tmp_path)
    assert f"`{key}`" in problem
    assert problem.endswith(
        f"; \\{letter} in double quotes is one character, not a backslash and {letter}; use single quotes around the text, or / in paths."
    )


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("port", "0", "`hosts.rp01.port` is 0; expected a port number from 1 to 65535."),
        ("port", "-1", "`hosts.rp01.port` is -1; expected a port number from 1 to 65535."),
        ("port", "65536", "`hosts.rp01.port` is 65536; expected a port number from 1 to 65535."),
        ("port", "443.0", "`hosts.rp01.port` is 443.0, not a whole number; expected a port number from 1 to 65535."),
        ("port", '" 443"', "`hosts.rp01.port` is text; expected a port number from 1 to 65535."),
        ("port", "true", "`hosts.rp01.port` is a boolean; expected a port number from 1 to 65535."),
        ("port", "2020-01-01", "`hosts.rp01.port` is a date or a time; expected a port number from 1 to 65535."),
        (
            "address",
            '"192.0.2.10:5986"',
            "`hosts.rp01.address`: '192.0.2.10:5986' includes a port; use the name or address only, ports have their own keys.",
        ),
        (
            "address",
            '"rp.invalid"',
            "`hosts.rp01.address`: 'rp.invalid' is a placeholder of lyncarr init; replace it with the real name or address.",
        ),
        ("address", "10", "`hosts.rp01.address` is 10; expected the name or address of the server, without a port."),
        ("user", '""', "`hosts.rp01.user`: must not be empty."),
        ("user", '"a\\u001bb"', r"`hosts.rp01.user`: 'a\x1bb' contains a character that cannot be displayed; use plain text."),
        ("auth", '"digest"', "`hosts.rp01.auth`: invalid value 'digest'; use negotiate, ntlm, kerberos, sspi, basic or certificate."),
        (
            "user",
            '"Administrator"\nauth = "sspi"',
            '`hosts.rp01.user`: not used with auth = "sspi", which logs on as the user of this machine; remove this key.',
        ),
        ("transport", '"psrpp"', "`hosts.rp01.transport`: invalid value 'psrpp'; use psrp or winrs."),
        ("auth", '"certificate"', '`hosts.rp01.certificate`: missing; auth = "certificate" requires a PEM file.'),
        ("key", '"x"', '`hosts.rp01.key`: not used with auth = "negotiate"; remove this key, or use auth = "certificate".'),
        (
            "tls",
            '"pin:sha256:xy"',
            "`hosts.rp01.tls`: not a valid pin; use pin:sha256: followed by the 64 hexadecimal digits of the certificate's SHA-256.",
        ),
        ("adress", '"x"', "unknown key `hosts.rp01.adress`; did you mean `address`?"),
    ],
)
def test_a_host_is_checked(key: str, value: str, expected: str, tmp_path: Path) -> None:
    line = 1 if "missing" in expected else 2  # a missing key has the line of its table
    assert problems(f"[hosts.rp01]\n{key} = {value}\n{FARM}", tmp_path) == [f"{line}: {expected}"]


@pytest.mark.parametrize("auth", ["basic", "certificate"])
def test_a_password_or_key_requires_tls(auth: str, tmp_path: Path) -> None:
    more = 'certificate = "c.pem"\nkey = "c.key"\n' if auth == "certificate" else ""
    (line,) = problems(f'[hosts.rp01]\ntls = "off"\nauth = "{auth}"\n{more}{FARM}', tmp_path)
    assert line == f'3: `hosts.rp01.auth`: "{auth}" requires TLS; use another value of tls than "off", or auth = "negotiate".'


def test_a_user_name_with_a_colon_is_refused_for_basic(tmp_path: Path) -> None:
    (line,) = problems(f'[hosts.rp01]\nauth = "basic"\nuser = "a:b"\n{FARM}', tmp_path)
    assert line == '3: `hosts.rp01.user`: a user name with a colon cannot be used with auth = "basic".'


@pytest.mark.parametrize(
    "value",
    [
        f'"{CANARY}"',
        f'"{CANARY}:x"',
        f'"env:{CANARY} {CANARY}"',
        f'["{CANARY}"]',
        f'{{ value = "{CANARY}" }}',
        CANARY,
        f'"{CANARY}',
        f"'{CANARY}' x",
    ],
)
@pytest.mark.parametrize("table", ["hosts.rp01", "certificates"])
def test_a_password_in_the_file_is_refused_and_never_repeated(table: str, value: str, tmp_path: Path) -> None:
    # problems() looks for the canary in the message, the detail and the traceback.
    lines = problems(f"[{table}]\npassword = {value}\n{FARM if value[-1] != 'x' else ''}", tmp_path)
    assert len(lines) == 1
    assert re.search("use prompt, env:NAME|env: requires|expected prompt|in quotes|not valid TOML|ends inside", lines[0])


@pytest.mark.parametrize("key", ["passwort", "pass", "Password"])
def test_a_password_under_a_wrong_key_is_not_repeated_either(key: str, tmp_path: Path) -> None:
    (line,) = problems(f'[hosts.rp01]\n{key} = "{CANARY}"\n{FARM}', tmp_path)
    assert line == f"2: unknown key `hosts.rp01.{key}`; did you mean `password`?"


def test_a_dotted_host_without_quotes_is_explained(tmp_path: Path) -> None:
    assert problems(f'[hosts.rp01.contoso.com]\naddress = "192.0.2.10"\n{FARM}', tmp_path) == [
        '1: `hosts.rp01.contoso`: a dot separates tables in TOML; put the name in quotes: [hosts."rp01.contoso.com"].'
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[hosts.rp01]\n[hosts.RP01]\n", "2: `hosts.RP01`: differs from `hosts.rp01` only in upper and lower case; use each name once."),
        (
            '[hosts."rp.01"]\naddress = "rp01"\n[hosts."RP.01"]\naddress = "rp01"\n',
            '3: `hosts."RP.01"`: differs from `hosts."rp.01"` only in upper and lower case; use each name once.',
        ),
        ('[hosts."[x\\u001b"]\n', r'1: `hosts."[x\x1b"`: the name cannot be displayed; use a plain name, as in [hosts.rp01].'),
        (
            '[hosts."rp 01"]\n',
            "1: `hosts.\"rp 01\".address`: missing, and the name of the table cannot be used as the address: 'rp 01' contains a space.",
        ),
        ('[hosts."\\u001b"]\n', r'1: `hosts."\x1b"`: the name cannot be displayed; use a plain name, as in [hosts.rp01].'),
        ("[hosts]\nrp01 = 1\n", "2: `hosts.rp01` is 1; expected a table such as [hosts.rp01]."),
        ("[host.rp01]\n", "1: unknown key `host`; did you mean `hosts`?"),
        (
            "[certificates]\ntrusted_roots = [1]\n",
            "2: `certificates.trusted_roots[0]` is 1; expected a certificate file, DER or PEM, as text.",
        ),
        ('[certificates]\ntrusted_roots = "a"\n', "2: `certificates.trusted_roots` is text; expected a list of certificate files"),
        ('[certificates]\npassword = "prompt"\n', "1: `certificates.public`: missing; add the PFX file that the password is for."),
        ('[certificates]\npublic = ""\n', "2: `certificates.public`: must not be empty."),
        ('[website]\nhttps = "*:0:"\n', "2: `website.https`: '*:0:' is not a valid binding; use address:port:, such as \"*:443:\"."),
        ('[website]\nhttps = "*:65536:"\n', "2: `website.https`: '*:65536:' is not a valid binding"),
        ('[website]\nhttps = "*:443:meet.contoso.com"\n', "2: `website.https`: '*:443:meet.contoso.com' would serve one host name only"),
        ('[website]\nname = ""\n', "2: `website.name`: must not be empty."),
        ('[installers]\nsource = "web"\n', "2: `installers.source`: invalid value 'web'; use auto, msi or webpi."),
        (
            '[installers]\nsource = "msi"\nurl_rewrite = "r.msi"\narr = "a.msi"\nfeed = "https://files.contoso.com/webpi.xml"\n',
            '5: `installers.feed`: not used with source = "msi"',
        ),
        (
            '[installers]\nsource = "webpi"\nexternal_cache = "e.msi"\n',
            '3: `installers.external_cache`: not used with source = "webpi"; remove this key',
        ),
        ('[installers]\nfeed = "http://files.contoso.com/webpi.xml"\n', "2: `installers.feed`: not an https URL; use https"),
        (
            f'[installers]\nfeed = "https://u:{CANARY}@files.contoso.com/a.xml"\n',
            "2: `installers.feed`: the URL contains a user name or a password",
        ),
        (
            "[installers]\nfeed = 'https://files.contoso.com/a\" /Products:Other'\n",
            "2: `installers.feed`: the URL contains a character that must be percent-encoded",
        ),
        (
            "[installers]\nfeed = 'https://files.contoso.com/a\\'\n",
            "2: `installers.feed`: the URL contains a character that must be percent-encoded",
        ),
        ("[installers]\nfeed = '\\\\nas\\webpi\\list.xml'\n", "2: `installers.feed`: not a product list that the target host can open"),
        (
            "[installers]\nfeed = 'C:\\webpi'\n",
            "2: `installers.feed`: not a product list that the target host can open; use an https URL, or a file",
        ),
        ("[installers]\nfeed = 'C:\\a\" /XML:b.xml'\n", "2: `installers.feed`: not a product list that the target host can open"),
        ('[installers]\nfeed = "list.xml"\n', "2: `installers.feed`: not a product list that the target host can open"),
        ('[installers]\nfeed = ""\n', "2: `installers.feed`: must not be empty."),
        ("[installers]\nfeed = 7\n", "2: `installers.feed` is 7; expected an https URL, or a file on the host"),
        (
            '[installers]\nsource = "msi"\narr = "a.msi"\n',
            '1: `installers.url_rewrite`: missing; source = "msi" requires a file or an https URL.',
        ),
        ('[installers]\narr = "http://files.contoso.com/a.msi"\n', "2: `installers.arr`: not an https URL; use https"),
        (
            f'[installers]\narr = "https://u:{CANARY}@files.contoso.com/a.msi"\n',
            "2: `installers.arr`: the URL contains a user name or a password",
        ),
        ('[installers]\narr = "https:///a.msi"\n', "2: `installers.arr`: not a valid URL"),
        (
            '[installers]\narr = "https://files.contoso.com/a.msi"\n',
            "1: `installers.sha256.arr`: missing; a package from a URL requires its SHA-256.",
        ),
        ('[installers]\nsha256 = { arr = "abc" }\n', "2: `installers.sha256.arr`: not a valid SHA-256; use 64 hexadecimal digits."),
        ('[installers]\nsha256 = { ar = "abc" }\n', "2: unknown key `installers.sha256.ar`; did you mean `arr`?"),
        ("[installers]\narr = 3\n", "2: `installers.arr`: not text; use a file path or an https URL, in quotes."),
        ("nonsense_beyond_guessing = 1\n", "1: unknown key `nonsense_beyond_guessing`; known keys: certificates, farms, hosts"),
    ],
)
def test_the_other_tables_are_checked(text: str, expected: str, tmp_path: Path) -> None:
    (line,) = problems(text + FARM, tmp_path)
    assert line.startswith(expected)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("timeout_s = 0", "`farms[0].timeout_s` is 0; expected a whole number of seconds from 1 to 86400."),
        ("timeout_s = -1", "`farms[0].timeout_s` is -1; expected a whole number of seconds from 1 to 86400."),
        ("timeout_s = 1000000000000", "`farms[0].timeout_s` is 1000000000000; expected a whole number of seconds from 1 to 86400."),
        ("timeout_s = inf", "`farms[0].timeout_s` is inf, not a whole number; expected a whole number of seconds from 1 to 86400."),
        ("timeout_s = nan", "`farms[0].timeout_s` is nan, not a whole number; expected a whole number of seconds from 1 to 86400."),
        ("disk_cache = 1", "`farms[0].disk_cache` is 1; expected true or false."),
        ('ssl_offload = "yes"', "`farms[0].ssl_offload` is text; expected true or false."),
        ('kind = "lynk"', "`farms[0].kind`: invalid value 'lynk'; use lync or office-web-apps."),
        (
            'host_pattern = "meet.("',
            "`farms[0].host_pattern`: 'meet.(' is not a valid host pattern; use letters, digits, '-', '.', ':' and the wildcards",
        ),
        ("timeout = 900", "unknown key `farms[0].timeout`; did you mean `timeout_s`?"),
    ],
)
def test_a_farm_is_checked(more: str, expected: str, tmp_path: Path) -> None:
    number = 4
    (line,) = problems(f"{FARM}{more}\n", tmp_path)
    assert line.replace(OF_FARM, "`", 1).startswith(f"{number}: {expected}")


@pytest.mark.parametrize(
    ("servers", "expected"),
    [
        ("[]", "`farms[0].servers` is an empty list; expected a list of 1 to 100 server names or addresses."),
        ('"fepool"', "`farms[0].servers` is text; expected a list of 1 to 100 server names or addresses."),
        ('["fepool", 1]', "`farms[0].servers[1]` is 1; expected the name or address of a server, as text."),
        ('["fepool", "FEPOOL."]', "`farms[0].servers[1]`: fepool is the same as servers[0]; list each server once."),
        ('["192.0.2.1:443"]', "`farms[0].servers[0]`: '192.0.2.1:443' includes a port"),
        ('["[2001:db8::1]"]', "`farms[0].servers[0]`: '[2001:db8::1]' has brackets; write an IPv6 address without them."),
        ('["front-end.invalid"]', "`farms[0].servers[0]`: 'front-end.invalid' is a placeholder of lyncarr init"),
        (str(["fe"] * 101), "`farms[0].servers` is a list; expected a list of 1 to 100 server names or addresses."),
    ],
)
def test_servers_are_checked(servers: str, expected: str, tmp_path: Path) -> None:
    number = 3
    (line,) = problems(f'[[farms]]\nname = "meet.contoso.com"\nservers = {servers}\n', tmp_path)
    assert line.replace(OF_FARM, "`", 1).startswith(f"{number}: {expected}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[website]", "`farms` is missing; expected 1 to 500 [[farms]] tables, each in two pairs of brackets."),
        ("farms = []", "1: `farms` is an empty list; expected 1 to 500 [[farms]] tables, each in two pairs of brackets."),
        ("farms = [1]", "1: `farms[0]` is 1; expected a [[farms]] table."),
        (
            "[farms]\nname = 'a.b'",
            "1: `farms` is written as one table, [farms]; expected [[farms]] in two pairs of brackets for each farm.",
        ),
    ],
)
def test_there_is_a_farm(text: str, expected: str, tmp_path: Path) -> None:
    assert problems(text, tmp_path) == [expected]


def test_all_problems_are_reported_together(tmp_path: Path) -> None:
    text = '[hosts.rp01]\nport = 0\n[website]\nnme = "x"\n[[farms]]\nname = "*.contoso.com"\nservers = ["a:1", ""]\n'
    assert [line.split("`")[0] + line.split("`")[1] for line in problems(text, tmp_path)] == [
        "2: hosts.rp01.port",
        "4: unknown key website.nme",
        "6: farms[0].name",
        "7: farms[0].servers[0]",
        "7: farms[0].servers[1]",
    ]


def test_problems_are_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = '[[farms]]\nservers = []\nname = "*.contoso.com"\n[hosts.rp01]\nuser = ""\nport = 0\nauth = 3\naddress = ""\nx = 1\n'
    assert [line.partition(":")[0] for line in problems(text, tmp_path)] == ["2", "3", "5", "6", "7", "8", "9"]


def test_a_farm_is_named_where_its_name_is_valid(tmp_path: Path) -> None:
    rest = 'servers = ["fepool"]\nport = 1\n'
    text = FARM + "".join(f"[[farms]]\n{line}\n{rest}" for line in ("name = 'bücher.example'", "name = 'canary: 7'", "name = 7", ""))
    assert [line.partition(";")[0] for line in problems(text, tmp_path) if "unknown" in line] == [
        "7: unknown key `farms[1].port` of xn--bcher-kva.example (bücher.example)",
        "11: unknown key `farms[2].port`",
        "15: unknown key `farms[3].port`",
        "19: unknown key `farms[4].port`",
    ]


@pytest.mark.parametrize(("key", "misspelt"), [("servers", "server"), ("name", "nmae")])
def test_a_key_is_not_missed_beside_its_misspelling(key: str, misspelt: str, tmp_path: Path) -> None:
    (line,) = problems(FARM.replace(f"{key} =", f"{misspelt} ="), tmp_path)
    assert f"unknown key `farms[0].{misspelt}`" in line
    assert line.endswith(f"; did you mean `{key}`?")


def test_thousands_of_problems_are_not_all_shown(tmp_path: Path) -> None:
    lines = problems("".join(f"a{number} = 1\n" for number in range(5000)) + FARM, tmp_path)
    assert len(lines) == 51
    assert lines[49:] == [
        "50: unknown key `a49`; known keys: certificates, farms, hosts, installers, website.",
        "4950 more problems are not shown.",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "#" + "a" * 900_000,
        "# " + "a " * 450_000,
        "a" * 900_000,
        " " * 900_000 + "= x",
        "a = " + "b" * 900_000,
        "a" + " " * 900_000 + ".",
        '"' * 900_000,
        "'\"" * 450_000,
        "a." * 450_000,
        "[" * 900_000,
        'a = "' + "x" * 900_000 + '\\q"',
    ],
    ids=lambda text: text[:6],
)
def test_no_text_takes_long(text: str, tmp_path: Path) -> None:
    """A search whose time grows with the square of the length would take minutes, and the test would be stopped."""
    path = tmp_path / "lyncarr.toml"
    path.write_text(text, encoding="utf-8")
    program = "import sys; from pathlib import Path; from lyncarr.cli.main import main; main(['check', '--site', sys.argv[1]])"
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, timeout=HANG_S, check=False)
    assert done.returncode == 65, done.stderr[-500:]
    assert "Traceback" not in done.stderr
