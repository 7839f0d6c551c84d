"""TLS to a host: contexts, and the check of the certificate before any byte of HTTP is sent."""

from __future__ import annotations

import hashlib
import ssl
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from lyncarr.core.errors import LyncarrError, ProtocolError, RefusedError, SiteError, UntrustedError
from lyncarr.core.files import FileError, check_file
from lyncarr.core.model import Deadline
from lyncarr.core.text import safe
from lyncarr.hosts.http.retry import TransientError
from lyncarr.hosts.http.sockets import TimedSocket, TimedTlsSocket
from lyncarr.hosts.target import Target, Tls

# X509_V_ERR_* of OpenSSL's x509_vfy.h.
_NOT_YET_VALID = 9
_EXPIRED = 10
_SELF_SIGNED = 18
_WRONG_NAME = frozenset({62, 64})
_TOO_WEAK = frozenset({66, 67, 68})

_NOTHING_IN_COMMON = "SSLV3_ALERT_HANDSHAKE_FAILURE"
_SMALL_DH = frozenset({"DH_KEY_TOO_SMALL", "BAD_DH_VALUE", "DH_P_LENGTH"})
_OLD_SIGNATURE = frozenset({"WRONG_SIGNATURE_TYPE", "LEGACY_SIGALG_DISALLOWED_OR_UNSUPPORTED"})
_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"})
_OLD_TLS = frozenset({"UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "NO_PROTOCOLS_AVAILABLE", "WRONG_SSL_VERSION"})


@lru_cache(maxsize=32)
def context_for(tls: Tls, certificate: Path | None = None, key: Path | None = None) -> ssl.SSLContext:
    """The context for connections trusted by `tls`. All hosts of a run share it, because making one takes 26 ms.

    `certificate` and `key` (PEM files) are the client's own. Raises SiteError (exit 65) for files that cannot be used.
    """
    context = _bare_context()
    if tls.mode != "pin":
        context.check_hostname = True
        context.verify_mode = ssl.CERT_REQUIRED
        if tls.ca is None:
            _trust_system(context)
        else:
            _trust_file(context, tls.ca)
    if certificate is not None:
        # HTTP.sys requests the client certificate after the handshake. TLS 1.3 allows that only for clients that enable it.
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        _load_client_certificate(context, certificate, key)
    return context


def _bare_context() -> ssl.SSLContext:
    """TLS 1.2 or newer. Verifies nothing, and uses nothing of the environment."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.sslsocket_class = TimedTlsSocket
    return context


def _trust_system(context: ssl.SSLContext) -> None:
    """Trust the roots of the system. Not load_default_certs, which uses SSL_CERT_FILE and SSL_CERT_DIR of the environment."""
    if sys.platform == "win32":
        for store in ("CA", "ROOT"):
            for der, encoding, purposes in ssl.enum_certificates(store):
                if encoding == "x509_asn" and purposes and (purposes is True or ssl.Purpose.SERVER_AUTH.oid in purposes):
                    try:
                        context.load_verify_locations(cadata=der)
                    except ssl.SSLError:
                        continue  # One unreadable certificate in a store must not exclude the others.
        return
    paths = ssl.get_default_verify_paths()
    file, folder = Path(paths.openssl_cafile), Path(paths.openssl_capath)
    if file.is_file() or folder.is_dir():
        context.load_verify_locations(cafile=file if file.is_file() else None, capath=folder if folder.is_dir() else None)


def _trust_file(context: ssl.SSLContext, file: Path) -> None:
    # With this flag the file may hold only an intermediate authority, or the certificate of the host itself.
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    _check_file("CA file", file)
    try:
        context.load_verify_locations(cafile=file)
    except (OSError, ValueError) as error:
        raise SiteError(
            f"The CA file {file} contains no valid certificate in PEM format.",
            hint="Use a PEM file with one or more certificates.",
            detail=str(error),
        ) from None


def _load_client_certificate(context: ssl.SSLContext, certificate: Path, key: Path | None) -> None:
    def no_password() -> str:
        # Without this callback OpenSSL itself asks for the password on the terminal.
        raise SiteError(f"The key {key or certificate} is encrypted.", hint="Use a key without a password.")

    _check_file("client certificate", certificate)
    if key is not None:
        _check_file("key", key)
    try:
        context.load_cert_chain(certificate, key, no_password)
    except LyncarrError:
        raise
    except (OSError, ValueError) as error:
        raise SiteError(
            f"The client certificate {certificate} and its key cannot be used.",
            hint="Both files must be PEM, and the key must belong to the certificate.",
            detail=str(error),
        ) from None


def _check_file(kind: str, path: Path) -> None:
    """Raise SiteError for a path that is not a readable file, because OpenSSL does not report the reason."""
    try:
        check_file(path)
    except FileError as error:
        raise SiteError(f"The {kind} {path} {error.reason}.", hint=error.hint, detail=error.detail) from None


def secure(sock: TimedSocket, target: Target, deadline: Deadline, dial_again: Callable[[], TimedSocket]) -> TimedTlsSocket:
    """Do the TLS handshake on `sock` and check the host's certificate. When this raises, nothing else was sent.

    `dial_again` opens another connection to the same address: OpenSSL does not give the certificate whose verification failed, so
    lyncarr requests it once more. Raises UntrustedError, ProtocolError or TransientError.
    """
    try:
        secured = _handshake(context_for(target.tls, target.certificate, target.key), sock, target, deadline)
    except ssl.SSLCertVerificationError as error:
        raise _untrusted(error, target, _presented(target, deadline, dial_again)) from None
    except ssl.SSLError as error:
        if error.reason == _NOTHING_IN_COMMON and target.certificate is None:
            raise _nothing_in_common(error, target, _lenient(target, deadline, dial_again)) from None
        raise _no_handshake(error, target) from None
    except TimeoutError as error:
        raise TransientError(
            f"{target.where} accepts the connection but does not respond.",
            hint="Check that the port belongs to the HTTPS listener of WinRM, and that no firewall blocks TLS.",
            detail=f"{type(error).__name__}: {error}",
        ) from None
    except OSError as error:
        raise _closed_in_handshake(target, f"{type(error).__name__}: {error}") from None
    if target.tls.pin is not None:
        try:
            _compare(secured.getpeercert(binary_form=True) or b"", target)
        except LyncarrError:
            secured.close()
            raise
    return secured


def _handshake(context: ssl.SSLContext, sock: TimedSocket, target: Target, deadline: Deadline) -> TimedTlsSocket:
    secured: ssl.SSLSocket | None = None
    try:
        # In two steps: the handshake must find its deadline.
        secured = context.wrap_socket(sock, server_hostname=target.address, do_handshake_on_connect=False)
        assert isinstance(secured, TimedTlsSocket)  # noqa: S101  (sslsocket_class guarantees this; mypy learns the type)
        secured.deadline = deadline
        secured.do_handshake()
    except BaseException:
        (secured or sock).close()
        raise
    return secured


def _lenient(target: Target, deadline: Deadline, dial_again: Callable[[], TimedSocket]) -> tuple[str, bytes] | None:
    """The cipher suite and the certificate (DER) of a second handshake that accepts weak ones and sends nothing. None where it fails."""
    context = _bare_context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    try:
        with _handshake(context, dial_again(), target, deadline) as secured:
            cipher = secured.cipher()
            return (cipher[0] if cipher else ""), secured.getpeercert(binary_form=True) or b""
    except (OSError, LyncarrError):
        return None


def _nothing_in_common(error: ssl.SSLError, target: Target, weak: tuple[str, bytes] | None) -> ProtocolError:
    detail = f"{type(error).__name__}: {error.reason or error}"
    new = "The script of lyncarr bootstrap creates a new one."
    if weak is not None and _is_signed_with_sha1(weak[1]):
        return ProtocolError(
            f"The certificate of {target.where} is signed with SHA-1, which TLS clients no longer accept.",
            hint=f"Create a certificate with SHA-256 for the HTTPS listener. {new}",
            detail=detail,
        )
    if weak is not None and weak[0] and not _bare_context_has(weak[0]):
        return ProtocolError(
            f"{target.where} has no TLS cipher suite in common with this controller; it offers {safe(weak[0])}.",
            hint="Enable cipher suites with ECDHE and AES-GCM on the host.",
            detail=detail,
        )
    return ProtocolError(
        f"{target.where} has no TLS cipher suite or signature algorithm in common with this controller.",
        hint="Check the certificate of the HTTPS listener: one that is signed with SHA-1, as New-SelfSignedCertificate of Windows Server "
        f"2012 R2 makes it, cannot be used. {new} If it has SHA-256, enable cipher suites with ECDHE and AES-GCM on the host.",
        detail=detail,
    )


def _bare_context_has(cipher: str) -> bool:
    return any(each["name"] == cipher for each in _bare_context().get_ciphers())


def _is_signed_with_sha1(der: bytes) -> bool:
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        algorithm = x509.load_der_x509_certificate(der).signature_hash_algorithm
    except (ValueError, UnsupportedAlgorithm):
        return False
    return algorithm is not None and algorithm.name in ("sha1", "md5")


def _presented(target: Target, deadline: Deadline, dial_again: Callable[[], TimedSocket]) -> bytes | None:
    """The host's certificate (DER), from a second handshake that trusts everything and sends nothing. None where it fails."""
    try:
        with _handshake(_bare_context(), dial_again(), target, deadline) as secured:
            return secured.getpeercert(binary_form=True)
    except (OSError, LyncarrError):
        return None


def speaks_tls(sock: TimedSocket, target: Target, deadline: Deadline) -> bool:
    """Whether a TLS server answers on the new connection `sock`. Its certificate does not matter."""
    try:
        _handshake(_bare_context(), sock, target, deadline).close()
    except OSError:
        return False
    return True


def described(der: bytes) -> str:
    """A certificate (DER) in one line that is safe to show: subject, last day, SHA-256."""
    from cryptography import x509

    try:
        until = f", valid until {x509.load_der_x509_certificate(der).not_valid_after_utc:%Y-%m-%d}"
    except ValueError:
        until = ""
    return f"{_subject(der)}{until}, SHA-256 {hashlib.sha256(der).hexdigest().upper()}"


def _compare(der: bytes, target: Target) -> None:
    presented = hashlib.sha256(der).hexdigest().upper()
    if presented == target.tls.pin:
        return
    raise UntrustedError(
        f"STOP: {target.where} presented a certificate that is not the pinned one (subject {_subject(der)}). No password was sent.",
        hint="Another computer may answer in place of the host. If you know that the certificate was renewed, read its SHA-256 on the "
        "host itself and pin that. The first line below is the pinned SHA-256, the second one was presented.\n"
        f"{target.tls.pin}\n{presented}",
    )


def _untrusted(error: ssl.SSLCertVerificationError, target: Target, der: bytes | None) -> UntrustedError:
    where, code = target.where, error.verify_code
    if code == _EXPIRED:
        reason, hint = "has expired", "Renew the certificate on the host"
    elif code == _NOT_YET_VALID:
        reason, hint = "is not valid yet", "Compare the clocks of the host and of this controller"
    elif code in _WRONG_NAME:
        reason, hint = f"is for another name than {target.address}{_names(der)}", "Connect by a name of the certificate"
    elif code in _TOO_WEAK:
        reason, hint = "has a key or a signature that is too weak", "Renew the certificate on the host"
    else:
        reason = f"is not trusted: {'it is self-signed' if code == _SELF_SIGNED else 'no trusted authority issued it'}"
        hint = 'Give its certificate authority with tls = "ca:FILE"'
    if der is not None:
        reason += f" (subject {_subject(der)})"
        digest = hashlib.sha256(der).hexdigest().upper()
        hint += (
            ", or pin the certificate. To pin it, compare the SHA-256 below with the one that the script of lyncarr bootstrap prints "
            "on the host. Windows itself shows SHA-1, a different number. If they are equal, add the last line to the configuration file."
            f'\n{digest}\ntls = "pin:sha256:{digest}"'
        )
    else:
        hint += "."
    return UntrustedError(f"The certificate of {where} {reason}.", hint=hint, detail=f"verify code {code}: {error.verify_message}")


def _no_handshake(error: ssl.SSLError, target: Target) -> LyncarrError:
    detail = f"{type(error).__name__}: {error.reason or error}"
    if error.reason in _NO_TLS:
        return ProtocolError(
            f"{target.where} does not use TLS on that port.",
            hint="Check the port. WinRM over HTTPS uses port 5986 unless it was changed.",
            detail=detail,
        )
    if error.reason in _OLD_TLS:
        return ProtocolError(
            f"{target.where} does not support TLS 1.2.", hint='Enable TLS 1.2 on the host, or use tls = "off" with NTLM.', detail=detail
        )
    if error.reason in _SMALL_DH:
        return ProtocolError(
            f"{target.where} uses a Diffie-Hellman key that is too small.",
            hint="Enable cipher suites with ECDHE on the host, before those with DHE.",
            detail=detail,
        )
    if error.reason in _OLD_SIGNATURE:
        return ProtocolError(
            f"{target.where} signs with an algorithm that is no longer secure, such as SHA-1.",
            hint="Enable TLS 1.2 with SHA-256 on the host, and check the certificate of the HTTPS listener.",
            detail=detail,
        )
    if target.certificate is not None and "ALERT" in (error.reason or ""):
        return refused_certificate(target, detail)
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError | ssl.SSLSyscallError):
        return _closed_in_handshake(target, detail)
    return ProtocolError(
        f"The TLS handshake with {target.where} failed.", hint="Check the certificate of the HTTPS listener on the host.", detail=detail
    )


def _closed_in_handshake(target: Target, detail: str) -> TransientError:
    return TransientError(
        f"{target.where} closed the connection during the TLS handshake.",
        hint="Check that the port belongs to the HTTPS listener of WinRM. Windows also closes the connection if it has no cipher suite or "
        "signature algorithm in common with this controller: the certificate of the listener must be signed with SHA-256 or better.",
        detail=detail,
    )


def refused_certificate(target: Target, detail: str) -> RefusedError:
    """The error for a TLS alert after the client certificate was sent."""
    return RefusedError(
        f"{target.where} refused the client certificate {target.certificate}.",
        hint="The host must trust its issuer, and map the certificate to an account (winrm/config/service/certmapping).",
        detail=detail,
    )


def _subject(der: bytes) -> str:
    """The subject in one line that is safe to show: the server that answered wrote it."""
    from cryptography import x509

    try:
        text = x509.load_der_x509_certificate(der).subject.rfc4514_string()
    except ValueError:
        return "not readable"
    return safe(text) or "empty"


def _names(der: bytes | None) -> str:
    """` (it is valid for a, b)`: the alternative names of the certificate, "" where it has none."""
    from cryptography import x509

    if der is None:
        return ""
    try:
        extension = x509.load_der_x509_certificate(der).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (ValueError, x509.ExtensionNotFound):
        return ""
    names = ", ".join(str(name.value) for name in extension.value)
    return f" (it is valid for {safe(names)})" if names else ""
