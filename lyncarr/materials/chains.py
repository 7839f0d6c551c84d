"""From a certificate to its root: which certificates a host needs, and what a client would verify.

The path is built here and not by a library: `cryptography.x509.verification` and certvalidator accept only paths that are valid in every
respect, and return none otherwise. lyncarr has to find the path that a client would try, to say what is wrong with it, and to know a SHA-1
root as a root.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import padding, rsa

LONGEST = 10
"""The most certificates of a path."""
MOST_PATHS = 500
"""The most paths that are compared: authorities that sign each other make many."""


def is_self_signed(certificate: x509.Certificate) -> bool:
    return issued_by(certificate, certificate)


def issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """True where the name and the key of `issuer` match.

    Where the algorithm of the signature cannot be verified here, the key identifiers decide, and without them the name.
    """
    if certificate.issuer != issuer.subject:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except InvalidSignature:
        return False
    except (UnsupportedAlgorithm, ValueError, TypeError):
        return _signed_by(certificate, issuer)
    return True


def _signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """For the algorithms that cryptography no longer accepts in certificates, such as SHA-1."""
    try:
        key, algorithm = issuer.public_key(), certificate.signature_hash_algorithm
        if isinstance(key, rsa.RSAPublicKey) and algorithm is not None:
            key.verify(certificate.signature, certificate.tbs_certificate_bytes, padding.PKCS1v15(), algorithm)
            return True
    except InvalidSignature:
        return False
    except (UnsupportedAlgorithm, ValueError, TypeError):
        pass  # Another kind of key or signature.
    named, own = _key_identifier_of_issuer(certificate), _key_identifier(issuer)
    return named is None or own is None or named == own


def _key_identifier(certificate: x509.Certificate) -> bytes | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except (x509.ExtensionNotFound, ValueError):
        return None


def _key_identifier_of_issuer(certificate: x509.Certificate) -> bytes | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    except (x509.ExtensionNotFound, ValueError):
        return None


def is_valid_at(certificate: x509.Certificate, now: datetime) -> bool:
    return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc


def chain_of(
    leaf: x509.Certificate,
    authorities: Sequence[x509.Certificate],
    now: datetime,
    *,
    is_known: Callable[[x509.Certificate], bool] = lambda certificate: False,
) -> tuple[x509.Certificate, ...]:
    """`leaf` and its issuers: the path that a client should take.

    Prefers, in this order: a path to a self-signed end of which nothing is expired; one of which nothing is expired; one to a self-signed
    end; the shorter one; the one that is valid for longer. `is_known` is True for a certificate whose issuer the clients have, so that
    the path is complete there too.
    """

    def preference(path: tuple[x509.Certificate, ...]) -> tuple[bool, bool, bool, int, datetime]:
        complete = is_self_signed(path[-1]) or is_known(path[-1])
        valid = all(is_valid_at(each, now) for each in path[1:])
        until = min((each.not_valid_after_utc for each in path[1:]), default=datetime.max.replace(tzinfo=UTC))
        return complete and valid, valid, complete, -len(path), until

    @cache
    def issuers(certificate: x509.Certificate) -> tuple[x509.Certificate, ...]:
        return () if is_self_signed(certificate) else tuple(each for each in authorities if issued_by(certificate, each))

    paths = itertools.islice(_paths((leaf,), issuers), MOST_PATHS)
    return max(paths, key=preference)


def _paths(
    path: tuple[x509.Certificate, ...], issuers: Callable[[x509.Certificate], tuple[x509.Certificate, ...]]
) -> Iterator[tuple[x509.Certificate, ...]]:
    """Each path that begins with `path` and cannot be continued."""
    following = [each for each in issuers(path[-1]) if each not in path] if len(path) < LONGEST else []
    if not following:
        yield path
    for issuer in following:
        yield from _paths((*path, issuer), issuers)


def excluded_names(leaf_names: Sequence[str], chain: Sequence[x509.Certificate]) -> list[tuple[str, x509.Certificate]]:
    """The DNS names that a name constraint of an authority in `chain` excludes, each with that authority (RFC 5280, section 4.2.1.10)."""
    found = []
    for authority in chain[1:]:
        try:
            constraints = authority.extensions.get_extension_for_class(x509.NameConstraints).value
        except (x509.ExtensionNotFound, ValueError):
            continue
        permitted = [tree.value for tree in constraints.permitted_subtrees or () if isinstance(tree, x509.DNSName)]
        excluded = [tree.value for tree in constraints.excluded_subtrees or () if isinstance(tree, x509.DNSName)]
        for name in leaf_names:
            outside = bool(permitted) and not any(_is_below(name, tree) for tree in permitted)
            if outside or any(_is_below(name, tree) for tree in excluded):
                found.append((name, authority))
    return found


def _is_below(name: str, tree: str) -> bool:
    base = tree.lower().removeprefix(".")
    plain = name.removeprefix("*.")
    return not base or plain == base or plain.endswith(f".{base}")
