"""Certificate files as people have them: read, checked, and encrypted again for the host."""

from __future__ import annotations

import base64
import itertools
import shutil
import subprocess
import warnings
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import certifi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7, pkcs12
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID

from lyncarr.core.files import FileError
from lyncarr.core.model import Secret
from lyncarr.materials import certificates
from lyncarr.materials.certificate_checks import errors_of, warnings_of, warnings_of_trusted
from lyncarr.materials.certificates import PublicCertificate, RootCertificate, covers, read_public, read_roots
from lyncarr.materials.public_roots import name_key
from tests.certs import NOW, Pair, ec_key, make_ca, make_leaf, make_pfx, rsa_key, with_sha1
from tests.patience import HANG_S

DATA = Path(__file__).with_name("data")
NAMES = ["dialin.contoso.com", "meet.contoso.com"]
PASSWORD = Secret("correct horse")
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def root() -> Pair:
    return make_ca("Contoso Root CA")


@pytest.fixture(scope="module")
def middle(root: Pair) -> Pair:
    return make_ca("Contoso Issuing CA", root)


def public_of(leaf: Pair, *chain: Pair) -> PublicCertificate:
    return read_public(make_pfx(leaf, chain), PASSWORD, names=NAMES, now=NOW)


def authorities(*pairs: Pair) -> tuple[RootCertificate, ...]:
    return read_roots(b"".join(pair.pem for pair in pairs))


class TestTrustedRoots:
    def test_der_and_pem_are_read_alike(self, root: Pair) -> None:
        (read,) = read_roots(root.der)
        assert read == read_roots(root.pem)[0]
        assert (read.store, read.der) == ("Root", root.der)
        assert read.label == f"Contoso Root CA ({read.thumbprint[:8]})"
        assert len(read.thumbprint) == 40
        assert read.thumbprint == read.thumbprint.upper()

    def test_a_bundle_has_roots_and_intermediates(self, root: Pair, middle: Pair) -> None:
        assert [each.store for each in read_roots(root.pem + b"text between\r\n" + middle.pem)] == ["Root", "CA"]

    @pytest.mark.parametrize("encoding", [Encoding.DER, Encoding.PEM])
    def test_a_p7b_is_a_bundle_too(self, root: Pair, middle: Pair, encoding: Encoding) -> None:
        data = pkcs7.serialize_certificates([root.certificate, middle.certificate], encoding)
        assert {each.store for each in read_roots(data)} == {"Root", "CA"}

    def test_the_name_alone_makes_no_root(self, root: Pair) -> None:
        # Issuer and subject are equal, but another key signed it, so no host trusts it as a root.
        other = make_ca("Contoso Root CA", root, key=ec_key("another"))
        assert read_roots(other.der)[0].store == "CA"

    def test_a_leaf_is_an_error(self, root: Pair) -> None:
        leaf = make_leaf(NAMES, root)
        with pytest.raises(FileError, match=r"^contains dialin.contoso.com \([0-9A-F]{8}\), which is not a certificate authority$"):
            read_roots(root.pem + leaf.pem)

    @pytest.mark.parametrize(
        ("made", "text"),
        [
            (make_leaf(NAMES), "is not a certificate authority; the host trusts exactly this certificate"),
            (make_ca("Old Root", ca=None), "does not say whether it is a certificate authority"),
        ],
    )
    def test_a_self_signed_certificate_that_is_no_authority_is_trusted_by_itself(self, made: Pair, text: str) -> None:
        """As IIS Manager and Office Web Apps make one, and roots from before basic constraints."""
        (read,) = read_roots(made.der)
        assert read.store == "Root"
        (warning,) = warnings_of_trusted(read, NOW)
        assert text in warning

    def test_a_root_signed_with_sha_1_is_a_root(self) -> None:
        key = rsa_key(7)
        old = with_sha1(make_ca("Old Root", key=key), key)
        (read,) = read_roots(old.pem)
        assert read.store == "Root"
        assert warnings_of_trusted(read, NOW) == []
        forged = with_sha1(make_ca("Old Root", key=key), rsa_key(8))
        assert read_roots(forged.pem)[0].store == "CA"

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
    @pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
    def test_text_of_each_kind_is_read(self, encoding: str, newline: str, root: Pair, middle: Pair) -> None:
        text = "Subject: Contoso\n" + (root.pem + middle.pem).decode()
        read = read_roots(text.replace("\n", newline).encode(encoding))
        assert [each.der for each in read] == [root.der, middle.der]

    def test_base64_without_armour_is_read(self, root: Pair) -> None:
        for text in (base64.encodebytes(root.der), base64.b64encode(root.der), base64.encodebytes(root.der).replace(b"\n", b"\r\n")):
            assert [each.der for each in read_roots(text)] == [root.der]

    @pytest.mark.parametrize("kind", ["PKCS7", "CERTIFICATE", "CMS", "PKCS #7 SIGNED DATA", "X509 CERTIFICATE"])
    def test_pkcs_7_is_read_under_each_name(self, kind: str, root: Pair, middle: Pair) -> None:
        der = pkcs7.serialize_certificates([root.certificate, middle.certificate], Encoding.DER)
        pem = b"-----BEGIN %b-----\n%b-----END %b-----\n" % (kind.encode(), base64.encodebytes(der), kind.encode())
        assert {each.der for each in read_roots(pem)} == {root.der, middle.der}

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda pem: pem[:-200],
            lambda pem: pem[: -len(b"-----END CERTIFICATE-----\n")],
            lambda pem: pem.replace(b"-----END CERTIFICATE-----\n", b"", 1),
            lambda pem: pem.replace(b"MII", b"M!I"),
            lambda pem: pem[:-90] + pem[-80:],
        ],
    )
    def test_an_incomplete_certificate_is_an_error_and_never_dropped(
        self, spoil: Callable[[bytes], bytes], root: Pair, middle: Pair
    ) -> None:
        with pytest.raises(FileError, match=r"^has a certificate that is not complete: number 2 in the file$"):
            read_roots(root.pem + spoil(middle.pem))

    def test_a_block_without_its_beginning_is_an_error(self, root: Pair, middle: Pair) -> None:
        with pytest.raises(FileError, match="not complete"):
            read_roots(root.pem + middle.pem[30:])

    def test_a_private_key_is_an_error(self, root: Pair) -> None:
        with pytest.raises(FileError, match=r"^contains a private key$"):
            read_roots(root.pem + root.key_pem)
        with pytest.raises(FileError, match=r"^is a PFX file"):
            read_roots(make_pfx(root))

    @pytest.mark.parametrize("data", [b"hello", b"\x30\x03\x02\x01", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
    def test_a_file_of_another_kind_is_an_error(self, data: bytes) -> None:
        with pytest.raises(FileError, match=r"^(is not a certificate in DER|has a certificate that is not complete: number 1)"):
            read_roots(data)

    def test_a_name_cannot_write_to_a_terminal(self) -> None:
        (read,) = read_roots(make_ca("Evil\x1b[2J CA").der)
        assert read.label.startswith("Evil[2J CA (")


class TestPublic:
    def test_a_pfx_gives_leaf_key_and_chain(self, root: Pair, middle: Pair) -> None:
        leaf = make_leaf(["Meet.contoso.com", "*.contoso.com"], middle, common_name="meet.contoso.com")
        read = public_of(leaf, middle, root)
        assert (read.subject, read.sans) == ("meet.contoso.com", ("meet.contoso.com", "*.contoso.com"))
        assert read.thumbprint == certificates.thumbprint(leaf.certificate)
        assert (read.not_before, read.not_after) == (leaf.certificate.not_valid_before_utc, leaf.certificate.not_valid_after_utc)
        assert [each.certificate for each in read.intermediates] == [middle.certificate]
        assert read.chain == (leaf.certificate, middle.certificate, root.certificate)
        assert errors_of(read, NAMES, NOW) == []
        assert warnings_of(read, (), NOW) == []
        assert "PrivateKey" not in repr(read)

    def test_the_path_through_the_valid_root_is_taken(self, root: Pair, middle: Pair) -> None:
        """The root's own certificate, and an expired one that another root issued for its name and key."""
        other = make_ca("Older Root CA")
        cross = make_ca("Contoso Root CA", other, key=root.key, end=NOW - DAY)
        leaf = make_leaf(NAMES, middle)
        for chain in itertools.permutations((middle, cross, root)):
            read = public_of(leaf, *chain)
            assert read.chain == (leaf.certificate, middle.certificate, root.certificate)
            assert [each.certificate for each in read.intermediates] == [middle.certificate]
            assert warnings_of(read, (), NOW) == []

    def test_a_root_in_trusted_roots_completes_the_path(self, root: Pair, middle: Pair) -> None:
        cross = make_ca("Contoso Root CA", make_ca("Older Root CA"), key=root.key, end=NOW - DAY)
        leaf = make_leaf(NAMES, middle)
        read = read_public(make_pfx(leaf, (cross, middle)), PASSWORD, trusted=authorities(root), now=NOW)
        assert [each.certificate for each in read.intermediates] == [middle.certificate]
        assert warnings_of(read, authorities(root), NOW) == []

    def test_certificates_that_the_chain_does_not_need_are_not_sent(self, root: Pair, middle: Pair) -> None:
        stranger, leaf = make_ca("Other Issuing CA", make_ca("Other Root CA")), make_leaf(NAMES, middle)
        assert [each.certificate for each in public_of(leaf, stranger, middle, root).intermediates] == [middle.certificate]
        expired = make_ca("Contoso Issuing CA", root, end=NOW - DAY)
        assert public_of(make_leaf(NAMES, expired), expired, root).intermediates == ()

    def test_a_chain_signed_with_sha_1_ends_in_its_root(self) -> None:
        key = rsa_key(7)
        old = with_sha1(make_ca("Old Root", key=key), key)
        leaf = make_leaf(NAMES, old)
        read = public_of(leaf, old)
        assert (read.chain, read.intermediates) == ((leaf.certificate, old.certificate), ())
        assert warnings_of(read, (), NOW) == []

    def test_of_two_certificates_for_one_key_the_valid_one_is_used(self, root: Pair) -> None:
        expired = make_leaf(NAMES, root, end=NOW - DAY)
        renewed = make_leaf(NAMES, root)
        short = make_leaf(NAMES, root, end=NOW + 5 * DAY)
        other_name = make_leaf(["www.contoso.com"], root, end=NOW + 3000 * DAY)
        for first, *rest in itertools.permutations((expired, renewed, short, other_name)):
            read = public_of(first, *rest, root)
            assert read.certificate == renewed.certificate
            assert sorted(read.others) == sorted(certificates.label(each.certificate) for each in (expired, short, other_name))
            assert errors_of(read, NAMES, NOW) == []
            assert read.intermediates == ()

    def test_a_self_signed_public_certificate_is_warned_about(self) -> None:
        read = public_of(make_leaf(NAMES))
        assert warnings_of(read, (), NOW) == [
            f"{read.label} is self-signed; phones and browsers reject it, so request a certificate from a public authority"
        ]

    @pytest.mark.parametrize(
        ("permitted", "excluded", "bad"),
        [
            (["contoso.com"], [], []),
            ([".contoso.com"], [], []),
            (["fabrikam.com"], [], NAMES),
            (["dialin.contoso.com"], [], ["meet.contoso.com"]),
            ([], ["meet.contoso.com"], ["meet.contoso.com"]),
            ([], ["contoso.com"], NAMES),
            (["contoso.com"], ["dialin.contoso.com"], ["dialin.contoso.com"]),
            ([], ["so.com"], []),
        ],
    )
    def test_a_name_constraint_is_an_error(self, permitted: list[str], excluded: list[str], bad: list[str], root: Pair) -> None:
        constraints = x509.NameConstraints(
            [x509.DNSName(each) for each in permitted] or None, [x509.DNSName(each) for each in excluded] or None
        )
        limited = make_ca("Limited CA", root, constraints=constraints)
        read = public_of(make_leaf(NAMES, limited), limited, root)
        errors = [error.reason for error in errors_of(read, NAMES, NOW)]
        assert len(errors) == len(bad)
        assert all(f"includes {name}, which its authority Limited CA (" in text for name, text in zip(bad, errors, strict=True))

    def test_authorities_that_all_sign_each_other_are_no_trap(self) -> None:
        names = [f"CA {number}" for number in range(12)]
        pool = [make_ca(name, Pair(make_ca(other).certificate, ec_key(other))) for name in names for other in names if name != other]
        leaf = make_leaf(NAMES, Pair(make_ca("CA 0").certificate, ec_key("CA 0")))
        assert public_of(leaf, *pool).certificate == leaf.certificate

    @pytest.mark.parametrize("password", [None, Secret(""), Secret("Correct horse"), Secret("correct horse ")])
    def test_a_wrong_password_is_reported_as_such(self, password: Secret | None) -> None:
        expected = "^requires a password$" if password is None else "^cannot be opened with the given password$"
        with pytest.raises(FileError, match=expected) as caught:
            read_public(make_pfx(make_leaf(NAMES)), password)
        assert "orrect" not in f"{caught.value}{caught.value.hint}{caught.value.detail}"

    @pytest.mark.parametrize("password", [" ", "’‘‚‛“”„", "pässwörd", "x" * 256, "'; Restart-Computer; '", "]]>&amp;<S>"])
    def test_any_password_opens_its_file(self, password: str) -> None:
        assert read_public(make_pfx(make_leaf(NAMES), password=password), Secret(password)).sans == tuple(NAMES)

    def test_a_pfx_without_password_needs_none(self) -> None:
        assert read_public(make_pfx(make_leaf(NAMES), password=None), None).sans == tuple(NAMES)

    def test_a_pfx_without_key_is_an_error(self) -> None:
        with pytest.raises(FileError, match=r"^has no private key$"):
            read_public(make_pfx(make_leaf(NAMES), with_key=False), PASSWORD)

    def test_a_key_that_iis_does_not_support_is_an_error(self) -> None:
        leaf = make_leaf(NAMES, key=ed25519.Ed25519PrivateKey.generate())
        with pytest.raises(FileError, match="has a private key that IIS does not support"):
            read_public(make_pfx(leaf), PASSWORD)

    def test_an_elliptic_curve_key_is_valid(self) -> None:
        assert public_of(make_leaf(NAMES, key=ec_key("leaf"))).sans == tuple(NAMES)

    def test_an_incomplete_file_is_reported(self) -> None:
        data = make_pfx(make_leaf(NAMES))
        for broken in (data[:-1], data[:100], b"\x30\x82", b"<html>" * 10):
            with pytest.raises(FileError, match=r"^is not a PFX file, or is incomplete$"):
                read_public(broken, PASSWORD)

    def test_pem_is_reported(self) -> None:
        leaf = make_leaf(NAMES)
        with pytest.raises(FileError, match=r"^is a PEM file, not a PFX file$"):
            read_public(leaf.pem + leaf.key_pem, PASSWORD)

    def test_rc2_of_old_windows_is_read(self) -> None:
        read = read_public((DATA / "rc2-40.pfx").read_bytes(), Secret("käse 1"))
        assert read.sans == ("meet.contoso.com",)

    def test_without_rc2_the_cause_is_reported(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # An OpenSSL without its legacy provider reports "invalid password or data" only.
        monkeypatch.setattr(certificates, "_has_rc2", lambda: False)
        with pytest.raises(FileError, match=r"^is encrypted with RC2, which the OpenSSL of this Python cannot read$"):
            read_public((DATA / "rc2-40.pfx").read_bytes(), Secret("whatever"))


class TestChecks:
    def test_expired(self, root: Pair) -> None:
        read = public_of(make_leaf(NAMES, root, start=NOW - 90 * DAY, end=NOW - DAY))
        (error,) = errors_of(read, NAMES, NOW)
        assert (error.reason, error.hint) == (f"{read.label} expired on 2030-06-14", "Use a certificate that is valid today.")

    def test_not_yet_valid(self, root: Pair) -> None:
        read = public_of(make_leaf(NAMES, root, start=NOW + DAY))
        (error,) = errors_of(read, NAMES, NOW)
        assert error.reason == f"{read.label} is not valid before 2030-06-16"
        assert "clock" in error.hint

    def test_names_that_are_not_covered_are_listed(self, root: Pair) -> None:
        read = public_of(make_leaf(["meet.contoso.com", "*.fabrikam.com"], root))
        names = ["meet.contoso.com", "dialin.contoso.com", "meet.fabrikam.com", "xn--bcher-kva.example"]
        (error,) = errors_of(read, names, NOW)
        names_text = "dialin.contoso.com, xn--bcher-kva.example (bücher.example)"
        assert error.reason == f"{read.label} does not include {names_text} in its subject alternative names"

    def test_the_common_name_covers_nothing(self, root: Pair) -> None:
        (error,) = errors_of(public_of(make_leaf([], root, common_name="meet.contoso.com")), ["meet.contoso.com"], NOW)
        assert "does not include meet.contoso.com" in error.reason

    @pytest.mark.parametrize(
        ("san", "name", "covered"),
        [
            ("meet.contoso.com", "meet.contoso.com", True),
            ("*.contoso.com", "meet.contoso.com", True),
            ("*.contoso.com", "a.meet.contoso.com", False),
            ("*.contoso.com", "contoso.com", False),
            ("m*.contoso.com", "meet.contoso.com", False),
            ("*.com", "contoso.com", True),
            ("*", "contoso.com", False),
            ("meet.contoso.com.", "meet.contoso.com", True),
        ],
    )
    def test_a_wildcard_covers_one_label(self, san: str, name: str, covered: bool) -> None:
        assert covers([san], name) is covered

    @pytest.mark.parametrize(("left", "warned"), [(timedelta(days=29, hours=23), True), (timedelta(days=30), False)])
    def test_expiry_within_thirty_days(self, root: Pair, left: timedelta, warned: bool) -> None:
        read = public_of(make_leaf(NAMES, root, end=NOW + left), root)
        texts = warnings_of(read, (), NOW)
        assert bool(texts) is warned
        assert all(text == f"{read.label} expires on {read.not_after:%Y-%m-%d}, in 29 days; renew it" for text in texts)

    def test_a_short_key(self, root: Pair) -> None:
        read = public_of(make_leaf(NAMES, root, key=rsa_key(1, 1024)), root)
        assert warnings_of(read, (), NOW) == [f"{read.label} has an RSA key of 1024 bits; Windows and browsers require 2048 or more"]

    def test_sha_1(self) -> None:
        trusted = read_roots((DATA / "sha1-intermediate.pem").read_bytes())
        assert warnings_of_trusted(trusted[0], NOW) == [
            f"{trusted[0].label} is signed with SHA1, which clients reject; request a certificate with SHA-256"
        ]

    def test_a_missing_intermediate_is_named(self, root: Pair, middle: Pair) -> None:
        read = public_of(make_leaf(NAMES, middle), root)
        (text,) = warnings_of(read, (), NOW)
        assert text.startswith(
            f"the certificate of Contoso Issuing CA, which issued {read.label}, is neither in the PFX file nor in trusted_roots;"
        )

    def test_a_chain_may_continue_in_trusted_roots(self, root: Pair, middle: Pair) -> None:
        read = public_of(make_leaf(NAMES, middle))
        assert warnings_of(read, authorities(middle, root), NOW) == []

    def test_a_gap_further_up_is_named(self, root: Pair, middle: Pair) -> None:
        lower = make_ca("Contoso Lower CA", middle)
        (text,) = warnings_of(public_of(make_leaf(NAMES, lower), lower), authorities(root), NOW)
        assert text.startswith("the certificate of Contoso Issuing CA, which issued Contoso Lower CA (")

    def test_a_public_root_need_not_be_in_the_pfx(self, monkeypatch: pytest.MonkeyPatch, root: Pair, middle: Pair) -> None:
        from lyncarr.materials import public_roots

        read = public_of(make_leaf(NAMES, middle), middle)
        assert len(warnings_of(read, (), NOW)) == 1
        monkeypatch.setattr(public_roots, "public_roots", lambda: frozenset({name_key(root.certificate.subject.public_bytes())}))
        assert warnings_of(read, (), NOW) == []

    def test_the_public_roots_are_those_of_certifi(self) -> None:
        from lyncarr.materials.public_roots import public_roots

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the serial numbers of some old roots
            roots = x509.load_pem_x509_certificates(Path(certifi.where()).read_bytes())
        assert public_roots() == {name_key(each.subject.public_bytes()) for each in roots}
        assert len(public_roots()) > 50

    def test_the_kinds_of_strings_in_a_name_do_not_matter(self) -> None:
        def key(*attributes: tuple[x509.ObjectIdentifier, str], kind: _ASN1Type) -> object:
            return name_key(x509.Name([x509.NameAttribute(oid, text, _type=kind) for oid, text in attributes]).public_bytes())

        company, name = (NameOID.ORGANIZATION_NAME, "Contoso"), (NameOID.COMMON_NAME, "Contoso Root CA")
        kinds = (_ASN1Type.UTF8String, _ASN1Type.PrintableString, _ASN1Type.BMPString)
        assert len({key(company, name, kind=kind) for kind in kinds}) == 1
        assert key(company, name, kind=kinds[0]) != key(name, company, kind=kinds[0])
        assert key((NameOID.COMMON_NAME, "Contoso"), kind=kinds[0]) != key((NameOID.ORGANIZATION_NAME, "Contoso"), kind=kinds[0])

    def test_an_expired_root_and_intermediate(self) -> None:
        old_root = make_ca("Old Root CA", end=NOW - DAY)
        old_middle = make_ca("Old Issuing CA", old_root, end=NOW - DAY)
        trusted = authorities(old_root)
        assert warnings_of_trusted(trusted[0], NOW) == [
            f"the root {trusted[0].label} expired on 2030-06-14; certificates that it issued are no longer trusted"
        ]
        texts = warnings_of(public_of(make_leaf(NAMES, old_middle), old_middle), trusted, NOW)
        assert [text.partition(" (")[0] for text in texts] == ["the intermediate Old Issuing CA", "the root Old Root CA"]

    def test_a_certificate_for_clients_only(self, root: Pair) -> None:
        leaf = make_leaf(NAMES, root, usage=x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH)
        (text,) = warnings_of(public_of(leaf, root), (), NOW)
        assert "has no extended key usage for TLS servers" in text

    def test_authorities_that_issue_each_other_end_the_chain(self) -> None:
        first = make_ca("First CA", Pair(make_ca("Second CA").certificate, ec_key("Second CA")))
        second = make_ca("Second CA", first)
        assert len(warnings_of(public_of(make_leaf(NAMES, first), first, second), (), NOW)) == 1


class TestPfxForTheHost:
    @pytest.mark.parametrize("build", [9600, 14393, 17763, 20348])
    def test_the_new_file_holds_leaf_key_and_intermediates_under_a_new_password(self, root: Pair, middle: Pair, build: int) -> None:
        public = public_of(make_leaf(NAMES, middle), middle, root)
        data, password = public.pfx_for(build)
        again, other = public.pfx_for(build)
        assert password != other
        assert password != PASSWORD
        assert data != again
        content = pkcs12.load_pkcs12(data, password.reveal().encode())
        assert content.cert is not None
        assert content.cert.certificate == public.certificate
        assert content.key is not None
        assert content.key.public_key() == public.certificate.public_key()
        assert [each.certificate for each in content.additional_certs] == [middle.certificate]

    @pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here: how the PFX is encrypted was not proved")
    @pytest.mark.parametrize(
        ("build", "mac", "encryption"),
        [(17762, "MAC: sha1,", "pbeWithSHA1And3-KeyTripleDES-CBC"), (17763, "MAC: sha256,", "AES-256-CBC")],
    )
    def test_old_hosts_get_an_encryption_that_they_can_read(
        self, root: Pair, tmp_path: Path, build: int, mac: str, encryption: str
    ) -> None:
        data, password = public_of(make_leaf(NAMES, root)).pfx_for(build)
        path = tmp_path / "again.pfx"
        path.write_bytes(data)
        command = ["openssl", "pkcs12", "-in", str(path), "-info", "-noout", "-passin", "stdin"]
        output = subprocess.run(command, input=password.reveal(), capture_output=True, text=True, check=True, timeout=HANG_S).stderr
        assert mac in output
        assert output.count(encryption) == 2  # certificates and key
