"""The schema that `lyncarr schema` prints: with it, editors accept all that the loader accepts, and underline errors.

Each site of tests/sites.py is held against it as well.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from lyncarr.config.loader import load_site
from lyncarr.config.names import check_host_pattern, parse_fqdn, parse_server
from lyncarr.config.schema import DIALECT, schema_text, site_schema, write_schema
from lyncarr.config.template import template_text
from lyncarr.config.values import check_tls
from lyncarr.core.errors import SiteError
from lyncarr.lab.site import write_site
from lyncarr.secrets.sources import check_reference
from tests.certs import make_ca
from tests.sites import underlined
from tests.unit.test_loader import WHOLE
from tools.docs.documents import Block, all_blocks

PATTERNS: dict[str, Any] = site_schema()["$defs"]
FARM = '[[farms]]\nname = "meet.contoso.com"\nservers = ["fepool.contoso.local"]\n'


def tables() -> dict[str, Any]:
    """Name of each table -> its schema."""
    schema = site_schema()
    return {"": schema, **schema["$defs"]}


def test_it_is_a_schema_of_2020_12() -> None:
    schema = json.loads(schema_text())
    assert schema["$schema"] == DIALECT == Draft202012Validator.META_SCHEMA["$id"]
    Draft202012Validator.check_schema(schema)
    assert schema_text().isascii()


@pytest.mark.parametrize("name", tables())
def test_each_key_has_a_description_and_nothing_for_programmers(name: str) -> None:
    table = tables()[name]
    assert table["additionalProperties"] is False
    assert set(table) <= {"$schema", "$defs", "type", "title", "properties", "required", "additionalProperties"}
    for key, schema in table["properties"].items():
        assert schema["description"].endswith("."), key
        assert "](" not in schema["description"], f"{key}: a link leads nowhere in an editor"
        assert not set(schema) & {"each", "doc", "otherwise", "title"}, key
        assert schema.get("default", "") is not None, f"{key}: TOML has no null"


def test_what_lyncarr_writes_itself_is_not_underlined(tmp_path: Path) -> None:
    assert underlined(template_text(["contoso.com", "fabrikam.com"])) == []
    site = write_site(tmp_path, host="rp01", address="127.0.0.1", port=5986, user="lab", password="x", authority=make_ca().pem)
    assert underlined(site.read_text(encoding="utf-8")) == []


def test_each_table_and_kind_of_value_is_accepted(tmp_path: Path) -> None:
    assert underlined(WHOLE) == []


@pytest.mark.parametrize("block", [block for block in all_blocks("toml") if "farms]" in block.text and block.answer is None], ids=str)
def test_examples_of_the_pages_are_not_underlined(block: Block) -> None:
    assert underlined(block.text) == []


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (FARM + "timeout = 900\n", "farms.0: "),
        (FARM + 'timeout_s = "900"\n', "farms.0.timeout_s: "),
        (FARM + "timeout_s = 0\n", "farms.0.timeout_s: "),
        (FARM + "http_port = 65536\n", "farms.0.http_port: "),
        (FARM + 'kind = "exchange"\n', "farms.0.kind: "),
        (FARM + 'disk_cache = "no"\n', "farms.0.disk_cache: "),
        (FARM + 'host_pattern = "meet contoso"\n', "farms.0.host_pattern: "),
        ('[[farms]]\nname = "meet.contoso.com"\nservers = []\n', "farms.0.servers: "),
        ('[[farms]]\nname = "meet"\nservers = ["a"]\n', "farms.0.name: "),
        ('[[farms]]\nservers = ["a"]\n', "farms.0: "),
        ('[farms]\nname = "meet.contoso.com"\nservers = ["a"]\n', "farms: "),
        ('[hosts.rp01]\nadress = "192.0.2.10"\n' + FARM, "hosts.rp01: "),
        ('[hosts.rp01]\nauth = "digest"\n' + FARM, "hosts.rp01.auth: "),
        ('[hosts.rp01]\npassword = "Winter2026"\n' + FARM, "hosts.rp01.password: "),
        ('[hosts.rp01]\ntls = "pin:sha1:AB"\n' + FARM, "hosts.rp01.tls: "),
        ('[website]\nhttps = "*:443:meet.contoso.com"\n' + FARM, "website.https: "),
        ('[installers]\narr = "http://files.contoso.com/arr.msi"\n' + FARM, "installers.arr: "),
        ('[installers.sha256]\narr = "12"\n' + FARM, "installers.sha256.arr: "),
        ("[website]\n", ": "),
        ("[hosts]\nrp01 = 1\n" + FARM, "hosts.rp01: "),
    ],
)
def test_an_error_is_underlined_at_its_place(text: str, place: str, tmp_path: Path) -> None:
    """The loader refuses it too: an editor is never stricter than lyncarr."""
    assert [line.partition(": ")[0] + ": " for line in underlined(text)] == [place]
    path = tmp_path / "lyncarr.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SiteError):
        load_site(path)


CHECKED: dict[tuple[str, str], Callable[[str], object]] = {
    ("FarmTable", "name"): parse_fqdn,
    ("FarmTable", "host_pattern"): check_host_pattern,
    ("HostConfig", "address"): parse_server,
    ("HostConfig", "password"): check_reference,
    ("HostConfig", "tls"): check_tls,
}
WORDS = ("prompt", "verify", "off", "env:", "file:", "ca:", "pin:sha256:", "ab" * 32, "a.", "2001:db8::1", "contoso.com", "ü", "*", " ")


@given(st.sampled_from(sorted(CHECKED)), st.lists(st.one_of(st.sampled_from(WORDS), st.text(max_size=4)), max_size=5).map("".join))
def test_no_pattern_is_narrower_than_the_loader(place: tuple[str, str], text: str) -> None:
    try:
        CHECKED[place](text)
    except ValueError:
        return
    table, key = place
    assert re.search(PATTERNS[table]["properties"][key]["pattern"], text)


def test_a_schema_is_replaced_and_no_other_file(tmp_path: Path) -> None:
    path = tmp_path / "lyncarr.schema.json"
    write_schema(path)
    path.write_bytes(path.read_bytes() + b"\n\n")
    write_schema(path)
    assert path.read_bytes() == schema_text().encode("ascii")
    for other in ('[hosts.rp01]\naddress = "192.0.2.10"\n', "[]", '{"title": "mine"}'):
        path.write_text(other)
        with pytest.raises(SiteError, match="was not changed"):
            write_schema(path)
        assert path.read_text() == other
    with pytest.raises(SiteError, match="cannot be written"):
        write_schema(tmp_path / "nowhere" / "file")
    with pytest.raises(SiteError, match="is a folder; give a file"):
        write_schema(tmp_path)


@pytest.mark.parametrize("title", ["lyncarr configuration file", "Site file of lyncarr"])
def test_a_schema_of_an_earlier_version_is_replaced(title: str, tmp_path: Path) -> None:
    path = tmp_path / "lyncarr.schema.json"
    path.write_text(json.dumps({"title": title}), encoding="ascii")
    write_schema(path)
    assert path.read_text(encoding="ascii") == schema_text()
