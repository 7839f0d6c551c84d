"""Names and addresses: one canonical form, and a reason for each refusal."""

from __future__ import annotations

import fnmatch
import re

import idna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lyncarr.config.names import check_host_pattern, display, parse_fqdn, parse_server, pattern_matches
from lyncarr.core.text import quoted

LABEL = st.from_regex(r"[a-z][a-z0-9]{0,8}(-[a-z0-9]{1,8})?", fullmatch=True).filter(lambda label: not label.startswith("xn--"))
NAMES = st.lists(LABEL, min_size=2, max_size=5).map(".".join)


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("meet.contoso.com", "meet.contoso.com"),
        ("Meet.CONTOSO.com.", "meet.contoso.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("bu\u0308cher.example", "xn--bcher-kva.example"),
        ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
        ("straße.example", "xn--strae-oqa.example"),
        ("日本語テスト.jp", "xn--zckzah9945czlbtz6h.jp"),
        ("xn--ample-ywe6i.com", "xn--ample-ywe6i.com"),  # mixed scripts, but given as A-label
        ("r3---sn-abc.example", "r3---sn-abc.example"),
        ("a" * 63 + ".com", "a" * 63 + ".com"),
    ],
)
def test_a_name_has_one_form(written: str, kept: str) -> None:
    assert parse_fqdn(written) == kept
    assert parse_server(written) == kept


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("", "must not be empty"),
        ("meet'; Restart-Computer; '", "contains a space"),
        ("$(Stop-Service).contoso.com", "is not a valid host name"),
        ("a`n.contoso.com", "is not a valid host name"),
        ("‘meet’.contoso.com", "is not a valid internationalized name"),
        ("meet\0.contoso.com", "contains the control character U+0000"),
        ("\x1b]0;pwn\x07", "contains the control character U+001B"),
        ("meet.contoso.com\n", "contains the control character U+000A"),
        ("a" * 64 + ".com", "has a label of 64 characters"),
        (".".join(["a" * 49] * 5) + ".abcd", "has 254 characters"),
        ("ü" * 60 + ".com", "too long as an A-label"),
        ("meet..com", "has an empty label"),
        (".contoso.com", "has an empty label"),
        ("-meet.contoso.com", "is not a valid host name"),
        ("meet_1.contoso.com", "is not a valid host name"),
        ("xn--ls8h.example", "begins with xn-- but is not a valid A-label"),
        ("\u212aelvin.example", "only looks like an ASCII letter"),
        ("ехample.com", "mixes Cyrillic and Latin letters"),
        ("münchen。de", "is not a valid internationalized name"),
        ("\u202emoc.example", "is not a valid internationalized name"),
        ("*.contoso.com", "is a wildcard"),
        ("meet.contoso.com:443", "includes a port"),
        ("https://meet.contoso.com/", "is a URL or a path"),
        ("10.1", "is not a valid name and not a complete IPv4 address"),
        ("256.1.1.1", "is not a valid name and not a complete IPv4 address"),
        ("a" * 1_000_000, "has 1000000 characters"),
    ],
)
def test_an_invalid_name_is_refused_with_its_reason(written: str, reason: str) -> None:
    for parse in (parse_fqdn, parse_server):
        with pytest.raises(ValueError, match=re.escape(reason)) as caught:
            parse(written)
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("written", "reason"), [("meet", "has no domain"), ("192.0.2.10", "is an IP address"), ("2001:db8::1", "is an IP address")]
)
def test_a_published_name_is_a_full_name(written: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_fqdn(written)


@pytest.mark.parametrize(
    ("written", "kept"),
    [("FEPOOL", "fepool"), ("192.0.2.10", "192.0.2.10"), ("2001:DB8:0::1", "2001:db8::1"), ("::1", "::1")],
)
def test_a_server_may_be_a_single_label_or_an_address(written: str, kept: str) -> None:
    assert parse_server(written) == kept


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("[2001:db8::1]", "has brackets"),
        ("[2001:db8::1]:443", "includes a port"),
        ("192.0.2.10:443", "includes a port"),
        ("fe80::1%eth0", "contains '%'"),
        ("2001:db8::g", "is not a valid IPv6 address"),
        ("0.0.0.0", "is not the address of a single server"),
        ("224.0.0.1", "is not the address of a single server"),
        ("255.255.255.255", "is not the address of a single server"),
        ("front-end.invalid", "'front-end.invalid' is a placeholder of lyncarr init"),
    ],
)
def test_an_invalid_server_is_refused(written: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        parse_server(written)


def test_the_refusal_of_mixed_scripts_names_the_a_label() -> None:
    with pytest.raises(ValueError, match="write 'xn--ample-ywe6i', the A-label of"):
        parse_fqdn("ехample.com")


def test_an_idn_is_shown_in_both_forms() -> None:
    assert display("xn--bcher-kva.example") == "xn--bcher-kva.example (bücher.example)"
    assert display("meet.contoso.com") == "meet.contoso.com"


@given(NAMES)
def test_parsing_again_changes_nothing(name: str) -> None:
    assert parse_fqdn(name) == parse_fqdn(name.upper()) == parse_fqdn(f"{name}.") == name


@given(st.text(max_size=70))
def test_any_text_is_a_canonical_name_or_refused(text: str) -> None:
    try:
        name = parse_server(text)
    except ValueError as error:
        shown = str(error)
    else:
        shown = name
        assert name.isascii()
        assert parse_server(name) == name
    assert shown.isprintable()


@given(st.text(alphabet=st.characters(categories=["Ll", "Lu", "Lo"]), min_size=1, max_size=12))
def test_names_agree_with_idna(label: str) -> None:
    try:
        name = parse_fqdn(f"{label}.example")
    except ValueError:
        return
    assert idna.decode(name) == idna.decode(idna.encode(idna.decode(name)))


def test_quoted_text_cannot_write_to_a_terminal() -> None:
    assert quoted("a\x1b[2J\u202eb") == r"'a\x1b[2J\u202eb'"
    assert len(quoted("x" * 10_000)) < 100


@pytest.mark.parametrize("pattern", ["meet.*", "m?et.contoso.com:8443", "*", "meet-1.contoso.com"])
def test_a_host_pattern_is_kept(pattern: str) -> None:
    assert check_host_pattern(pattern) == pattern


@pytest.mark.parametrize("pattern", ["", "meet.(", "meet.[a-z]", "^meet", "meet contoso", "bücher.*", "{HTTP_HOST}", "a" * 256])
def test_an_invalid_host_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"; use |the maximum is"):
        check_host_pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "host", "matches"),
    [
        ("meet.*", "meet.contoso.com", True),
        ("meet.*", "MEET.contoso.com:8443", True),
        ("MEET.*", "meet.contoso.com", True),
        ("meet.*", "xmeet.contoso.com", False),
        ("meet.contoso.com", "meet.contoso.com.evil.example", False),
        ("m?et.contoso.com", "meet.contoso.com", True),
        ("m?et.contoso.com", "mt.contoso.com", False),
        ("meet?contoso.com", "meet.contoso.com", True),
        ("meet.contoso.com", "meetXcontoso.com", False),
    ],
)
def test_a_pattern_matches_the_whole_name_with_two_wildcards(pattern: str, host: str, matches: bool) -> None:
    assert pattern_matches(pattern, host) is matches


@given(st.text("ab.*?", max_size=8), st.text("ab.", max_size=8))
def test_matching_agrees_with_another_implementation(pattern: str, host: str) -> None:
    assert pattern_matches(pattern, host) is fnmatch.fnmatchcase(host, pattern)


def test_a_hostile_pattern_is_matched_at_once() -> None:
    assert not pattern_matches("a*" * 120 + "b", "a" * 250)
