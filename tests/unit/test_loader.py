"""Every problem of a site file is named: file, key, what is wrong, what was expected; and a secret is never repeated."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from lyncarr.config.loader import load_site
from lyncarr.core.errors import SiteError

CANARY = "Canary-7f3a"
OF_FARM = " of meet.contoso.com: "
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
    """The lines of the error that loading `text` raises, without the file's name."""
    path = folder / "lyncarr.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SiteError) as caught:
        load_site(path)
    assert caught.value.exit_code == 65
    lines = str(caught.value).splitlines()
    assert all(line.startswith(f"{path}: ") and line.isprintable() for line in lines)
    assert CANARY not in "".join(traceback.format_exception(caught.value)) + str(caught.value.detail)
    return [line.removeprefix(f"{path}: ") for line in lines]


def test_a_whole_file_is_read(tmp_path: Path) -> None:
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
        "the site file is longer than 1 MB; expected a TOML file, is this the right one?"
    ]


def test_a_file_that_is_not_there_names_init(tmp_path: Path) -> None:
    with pytest.raises(SiteError, match="there is no such site file; lyncarr init DOMAIN writes one"):
        load_site(tmp_path / "lyncarr.toml")
    with pytest.raises(SiteError, match="cannot be read"):
        load_site(tmp_path)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_told(encoding: str, tmp_path: Path) -> None:
    assert problems(FARM.encode(encoding), tmp_path) == ["the site file is UTF-16; expected UTF-8, save it again with that encoding."]


def test_another_encoding_is_told_with_its_line(tmp_path: Path) -> None:
    assert problems(FARM.encode() + "# für alle".encode("latin-1"), tmp_path) == [
        "line 4 is not UTF-8; expected that encoding, save the file again with it."
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[website]\n[website]\n", "line 2: the table [website] stands in the file twice; expected each table once."),
        (
            "[farms]\n[farms]\n",
            "line 2: the table [farms] stands in the file twice; expected [[farms]] in two pairs of brackets for each farm.",
        ),
        (
            "[website]\nname = 'a'\nname = 'b'\n",
            "line 3: 'name' stands in its table twice, or is a value and a table; expected each key once.",
        ),
        (
            "[website]\nname = 'a'\nname = 'b'",
            "line 3: 'name' stands in its table twice, or is a value and a table; expected each key once.",
        ),
        (
            "website = { name = 'a', name = 'b' }",
            "line 1: this is not TOML (Duplicate inline table key 'name'); expected key = value, [table] or a comment.",
        ),
        ("disk_cache = yes", "line 1: the value of disk_cache has no quotes; expected true for a switch, or text in quotes."),
        ("disk_cache = no", "line 1: the value of disk_cache has no quotes; expected false for a switch, or text in quotes."),
        ("x = False", "line 1: the value of x has no quotes; expected false for a switch, or text in quotes."),
        ("name = meet.contoso.com", "line 1: the value of name has no quotes; expected text in quotes."),
        (
            'name = "a',
            "the file ends within something (Unterminated string); expected every string, list and table to be closed, and key = value.",
        ),
        (
            r'public = "certs\public.pfx"',
            "line 1: a backslash in double quotes begins an escape; expected single quotes around it, or / in paths.",
        ),
        (
            r'public = "C:\Users\x.pfx"',
            "line 1: a backslash in double quotes begins an escape; expected single quotes around it, or / in paths.",
        ),
        ("a = " + "[" * 100_000, "lists or tables are nested too deeply; expected a site file as lyncarr init writes it."),
        (".".join("a" * 400_000) + " = 1", "a key has more than 64 parts; expected a site file as lyncarr init writes it."),
        ("a = " + "1" * 5000, "a number has thousands of digits; expected one within its range."),
    ],
)
def test_what_is_no_toml_is_explained(text: str, expected: str, tmp_path: Path) -> None:
    assert problems(text, tmp_path) == [expected]


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("port", "0", "hosts.rp01.port: is 0; expected a port from 1 to 65535"),
        ("port", "-1", "hosts.rp01.port: is -1; expected a port from 1 to 65535"),
        ("port", "65536", "hosts.rp01.port: is 65536; expected a port from 1 to 65535"),
        ("port", "443.0", "hosts.rp01.port: is 443.0, a number with a fraction; expected a port from 1 to 65535"),
        ("port", '" 443"', "hosts.rp01.port: is text; expected a port from 1 to 65535"),
        ("port", "true", "hosts.rp01.port: is the switch true; expected a port from 1 to 65535"),
        ("port", "2020-01-01", "hosts.rp01.port: is a date or a time; expected a port from 1 to 65535"),
        (
            "address",
            '"192.0.2.10:5986"',
            "hosts.rp01.address: '192.0.2.10:5986' has a port; expected the host alone, ports have keys of their own",
        ),
        (
            "address",
            '"rp.invalid"',
            "hosts.rp01.address: 'rp.invalid' is a placeholder, as lyncarr init writes it; put the real name or address there",
        ),
        ("address", "10", "hosts.rp01.address: is 10; expected the name or address of the server, without port"),
        ("user", '""', "hosts.rp01.user: is empty; expected text"),
        ("user", '"a\\u001bb"', r"hosts.rp01.user: 'a\x1bb' holds a character that cannot be shown; expected plain text"),
        (
            "auth",
            '"kerberos"',
            "hosts.rp01.auth: 'kerberos' is none of the words it may be; expected negotiate, ntlm, basic or certificate",
        ),
        ("auth", '"certificate"', 'hosts.rp01.certificate: is missing; expected a PEM file, because auth is "certificate"'),
        ("key", '"x"', 'hosts.rp01.key: is not used with auth = "negotiate"; expected auth = "certificate", or no such key'),
        (
            "tls",
            '"pin:sha256:xy"',
            "hosts.rp01.tls: is no pin; expected pin:sha256: and the 64 hexadecimal digits of the certificate's SHA-256",
        ),
        ("adress", '"x"', "hosts.rp01.adress: is no key of this table; did you mean address?"),
    ],
)
def test_a_host_is_checked(key: str, value: str, expected: str, tmp_path: Path) -> None:
    assert problems(f"[hosts.rp01]\n{key} = {value}\n{FARM}", tmp_path) == [expected]


@pytest.mark.parametrize("auth", ["basic", "certificate"])
def test_a_password_or_key_does_not_go_without_tls(auth: str, tmp_path: Path) -> None:
    more = 'certificate = "c.pem"\nkey = "c.key"\n' if auth == "certificate" else ""
    (line,) = problems(f'[hosts.rp01]\ntls = "off"\nauth = "{auth}"\n{more}{FARM}', tmp_path)
    assert line == f'hosts.rp01.auth: "{auth}" needs TLS; expected another tls than "off", or auth = "negotiate"'


def test_a_colon_ends_the_user_of_basic(tmp_path: Path) -> None:
    (line,) = problems(f'[hosts.rp01]\nauth = "basic"\nuser = "a:b"\n{FARM}', tmp_path)
    assert line.startswith("hosts.rp01.user: holds a colon")


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
    assert "expected" in lines[0]


@pytest.mark.parametrize("key", ["passwort", "pass", "Password"])
def test_a_password_under_a_wrong_key_is_not_repeated_either(key: str, tmp_path: Path) -> None:
    (line,) = problems(f'[hosts.rp01]\n{key} = "{CANARY}"\n{FARM}', tmp_path)
    assert line.startswith(f"hosts.rp01.{key}: is no key of this table; did you mean password?")


def test_a_dotted_host_without_quotes_is_explained(tmp_path: Path) -> None:
    assert problems(f'[hosts.rp01.contoso.com]\naddress = "192.0.2.10"\n{FARM}', tmp_path) == [
        'hosts.rp01.contoso: a dot divides tables in TOML; expected [hosts."rp01.contoso.com"], with the name in quotes'
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[hosts.rp01]\n[hosts.RP01]\n", "hosts.RP01: differs from hosts.rp01 in letter case only; expected each host once"),
        ('[hosts."rp 01"]\n', "hosts.\"rp 01\".address: is missing, and the table's name cannot take its place: 'rp 01' holds a space"),
        ('[hosts."\\u001b"]\n', r'hosts."\x1b": is a name that cannot be shown; expected a plain name, such as [hosts.rp01]'),
        ("[hosts]\nrp01 = 1\n", "hosts.rp01: is 1; expected a table such as [hosts.rp01]"),
        ("[host.rp01]\n", "host: is no key of this table; did you mean hosts?"),
        ("[certificates]\ntrusted_roots = [1]\n", "certificates.trusted_roots[0]: is 1; expected a certificate file, DER or PEM, as text"),
        ('[certificates]\ntrusted_roots = "a"\n', "certificates.trusted_roots: is text; expected a list of certificate files"),
        ('[certificates]\npassword = "prompt"\n', "certificates.public: is missing; expected the PFX file that the password is for"),
        ('[certificates]\npublic = ""\n', "certificates.public: is empty; expected text"),
        ('[website]\nhttps = "*:0:"\n', "website.https: '*:0:' is no binding; expected address:port: such as \"*:443:\""),
        ('[website]\nhttps = "*:65536:"\n', "website.https: '*:65536:' is no binding"),
        ('[website]\nhttps = "*:443:meet.contoso.com"\n', "website.https: '*:443:meet.contoso.com' has a host name"),
        ('[website]\nname = ""\n', "website.name: is empty; expected text"),
        ('[installers]\nsource = "web"\n', "installers.source: 'web' is none of the words it may be; expected auto, msi or webpi"),
        (
            '[installers]\nsource = "msi"\nurl_rewrite = "r.msi"\narr = "a.msi"\nfeed = "https://files.contoso.com/webpi.xml"\n',
            'installers.feed: is not used with source = "msi"',
        ),
        ('[installers]\nsource = "webpi"\nexternal_cache = "e.msi"\n', 'installers.external_cache: is not used with source = "webpi"'),
        ('[installers]\nfeed = "http://files.contoso.com/webpi.xml"\n', "installers.feed: is no https URL; expected https"),
        (f'[installers]\nfeed = "https://u:{CANARY}@files.contoso.com/a.xml"\n', "installers.feed: is a URL with a user or password in it"),
        (
            "[installers]\nfeed = 'https://files.contoso.com/a\" /Products:Other'\n",
            "installers.feed: holds a character that no URL may hold",
        ),
        ("[installers]\nfeed = 'https://files.contoso.com/a\\'\n", "installers.feed: holds a character that no URL may hold"),
        ("[installers]\nfeed = '\\\\nas\\webpi\\list.xml'\n", "installers.feed: is no product list that the host could open"),
        (
            "[installers]\nfeed = 'C:\\webpi'\n",
            "installers.feed: is no product list that the host could open; expected an https URL, or a file",
        ),
        ("[installers]\nfeed = 'C:\\a\" /XML:b.xml'\n", "installers.feed: is no product list that the host could open"),
        ('[installers]\nfeed = "list.xml"\n', "installers.feed: is no product list that the host could open"),
        ('[installers]\nfeed = ""\n', "installers.feed: is empty; expected text"),
        ("[installers]\nfeed = 7\n", "installers.feed: is 7; expected an https URL, or a file on the host"),
        (
            '[installers]\nsource = "msi"\narr = "a.msi"\n',
            'installers.url_rewrite: is missing; expected a file or an https URL, because source is "msi"',
        ),
        ('[installers]\narr = "http://files.contoso.com/a.msi"\n', "installers.arr: is no https URL; expected https"),
        (f'[installers]\narr = "https://u:{CANARY}@files.contoso.com/a.msi"\n', "installers.arr: is a URL with a user or password in it"),
        ('[installers]\narr = "https:///a.msi"\n', "installers.arr: is no URL that a host could fetch"),
        (
            '[installers]\narr = "https://files.contoso.com/a.msi"\n',
            "installers.sha256.arr: is missing; expected the SHA-256 of the file behind",
        ),
        ('[installers]\nsha256 = { arr = "abc" }\n', "installers.sha256.arr: is no SHA-256; expected 64 hexadecimal digits"),
        ('[installers]\nsha256 = { ar = "abc" }\n', "installers.sha256.ar: is no key of this table; did you mean arr?"),
        ("[installers]\narr = 3\n", "installers.arr: is no text; expected a file, relative to the site file, or an https URL"),
        ("nonsense_beyond_guessing = 1\n", "nonsense_beyond_guessing: is no key of this table; expected one of certificates, farms, hosts"),
    ],
)
def test_the_other_tables_are_checked(text: str, expected: str, tmp_path: Path) -> None:
    (line,) = problems(text + FARM, tmp_path)
    assert line.startswith(expected)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("timeout_s = 0", "farms[0].timeout_s: is 0; expected whole seconds from 1 to 86400"),
        ("timeout_s = -1", "farms[0].timeout_s: is -1; expected whole seconds from 1 to 86400"),
        ("timeout_s = 1000000000000", "farms[0].timeout_s: is 1000000000000; expected whole seconds from 1 to 86400"),
        ("timeout_s = inf", "farms[0].timeout_s: is inf, a number with a fraction; expected whole seconds from 1 to 86400"),
        ("timeout_s = nan", "farms[0].timeout_s: is nan, a number with a fraction; expected whole seconds from 1 to 86400"),
        ("disk_cache = 1", "farms[0].disk_cache: is 1; expected true or false"),
        ('ssl_offload = "yes"', "farms[0].ssl_offload: is text; expected true or false"),
        ('kind = "lynk"', "farms[0].kind: 'lynk' is none of the words it may be; expected lync or office-web-apps; did you mean 'lync'?"),
        (
            'host_pattern = "meet.("',
            "farms[0].host_pattern: 'meet.(' is no host pattern; expected letters, digits, '-', '.', ':' and the wildcards",
        ),
        ("timeout = 900", "farms[0].timeout: is no key of this table; did you mean timeout_s?"),
    ],
)
def test_a_farm_is_checked(more: str, expected: str, tmp_path: Path) -> None:
    (line,) = problems(f"{FARM}{more}\n", tmp_path)
    assert line.replace(OF_FARM, ": ", 1).startswith(expected)


@pytest.mark.parametrize(
    ("servers", "expected"),
    [
        ("[]", "farms[0].servers: is an empty list; expected a list of 1 to 100 server names or addresses"),
        ('"fepool"', "farms[0].servers: is text; expected a list of 1 to 100 server names or addresses"),
        ('["fepool", 1]', "farms[0].servers[1]: is 1; expected the name or address of a server, as text"),
        ('["fepool", "FEPOOL."]', "farms[0].servers[1]: fepool is already servers[0]; expected each server once"),
        ('["192.0.2.1:443"]', "farms[0].servers[0]: '192.0.2.1:443' has a port"),
        ('["[2001:db8::1]"]', "farms[0].servers[0]: '[2001:db8::1]' has brackets; expected an IPv6 address without them"),
        ('["front-end.invalid"]', "farms[0].servers[0]: 'front-end.invalid' is a placeholder, as lyncarr init writes it"),
        (str(["fe"] * 101), "farms[0].servers: is a list; expected a list of 1 to 100 server names or addresses"),
    ],
)
def test_servers_are_checked(servers: str, expected: str, tmp_path: Path) -> None:
    (line,) = problems(f'[[farms]]\nname = "meet.contoso.com"\nservers = {servers}\n', tmp_path)
    assert line.replace(OF_FARM, ": ", 1).startswith(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "farms: is missing; expected 1 to 500 [[farms]] tables, each in two pairs of brackets"),
        ("farms = []", "farms: is an empty list; expected 1 to 500 [[farms]] tables, each in two pairs of brackets"),
        ("farms = [1]", "farms[0]: is 1; expected a [[farms]] table"),
        ("[farms]\nname = 'a.b'", "farms: is one table, [farms]; expected [[farms]] in two pairs of brackets for each farm"),
    ],
)
def test_there_is_a_farm(text: str, expected: str, tmp_path: Path) -> None:
    assert problems(text, tmp_path) == [expected]


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    text = '[hosts.rp01]\nport = 0\n[website]\nnme = "x"\n[[farms]]\nname = "*.contoso.com"\nservers = ["a:1", ""]\n'
    assert [line.partition(": ")[0] for line in problems(text, tmp_path)] == [
        "hosts.rp01.port",
        "website.nme",
        "farms[0].name",
        "farms[0].servers[0]",
        "farms[0].servers[1]",
    ]


def test_a_farm_is_told_by_its_name_where_that_is_good(tmp_path: Path) -> None:
    rest = 'servers = ["fepool"]\nport = 1\n'
    text = FARM + "".join(f"[[farms]]\n{line}\n{rest}" for line in ("name = 'bücher.example'", "name = 'canary: 7'", "name = 7", ""))
    assert [line.partition(": is no key")[0] for line in problems(text, tmp_path) if "is no key" in line] == [
        "farms[1].port of xn--bcher-kva.example (bücher.example)",
        "farms[2].port",
        "farms[3].port",
        "farms[4].port",
    ]


@pytest.mark.parametrize(("key", "misspelt"), [("servers", "server"), ("name", "nmae")])
def test_a_key_is_not_missed_beside_its_misspelling(key: str, misspelt: str, tmp_path: Path) -> None:
    (line,) = problems(FARM.replace(f"{key} =", f"{misspelt} ="), tmp_path)
    assert line.startswith(f"farms[0].{misspelt}")
    assert line.endswith(f": is no key of this table; did you mean {key}?")


def test_thousands_of_problems_are_not_all_shown(tmp_path: Path) -> None:
    lines = problems("".join(f"a{number} = 1\n" for number in range(5000)) + FARM, tmp_path)
    assert len(lines) == 51
    assert lines[-1] == "4950 more problems are not shown; mend these first"
