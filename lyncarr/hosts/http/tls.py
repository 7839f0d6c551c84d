"""TLS to a host: contexts, and the certificate judged before a single byte of HTTP is sent."""

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

_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"})
_OLD_TLS = frozenset({"UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "NO_PROTOCOLS_AVAILABLE", "WRONG_SSL_VERSION"})


@lru_cache(maxsize=32)
def context_for(tls: Tls, certificate: Path | None = None, key: Path | None = None) -> ssl.SSLContext:
    """The context for connections trusted by `tls`, shared by all hosts of a run: building one costs 26 ms.

    `certificate` and `key` (PEM) are the client's own. Raises SiteError (exit 65) for files that cannot be used.
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
        # HTTP.sys asks for the client's certificate after the handshake, which TLS 1.3 allows only to clients that opted in.
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        _show(context, certificate, key)
    return context


def _bare_context() -> ssl.SSLContext:
    """TLS 1.2 or newer, nothing verified, nothing of the environment used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.sslsocket_class = TimedTlsSocket
    return context


def _trust_system(context: ssl.SSLContext) -> None:
    """The roots that the system trusts. Not load_default_certs: that follows SSL_CERT_FILE and SSL_CERT_DIR of the environment."""
    if sys.platform == "win32":
        for store in ("CA", "ROOT"):
            for der, encoding, purposes in ssl.enum_certificates(store):
                if encoding == "x509_asn" and (purposes is True or ssl.Purpose.SERVER_AUTH.oid in purposes):
                    try:
                        context.load_verify_locations(cadata=der)
                    except ssl.SSLError:
                        continue  # One odd certificate in a store must not take the others away.
        return
    paths = ssl.get_default_verify_paths()
    file, folder = Path(paths.openssl_cafile), Path(paths.openssl_capath)
    if file.is_file() or folder.is_dir():
        context.load_verify_locations(cafile=file if file.is_file() else None, capath=folder if folder.is_dir() else None)


def _trust_file(context: ssl.SSLContext, file: Path) -> None:
    # So that an issuing authority, or the host's own certificate, is enough in the file.
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


def _show(context: ssl.SSLContext, certificate: Path, key: Path | None) -> None:
    def no_password() -> str:
        # Without this OpenSSL asks on the terminal by itself.
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
        raise SiteError(f"The {kind} {path} {error.reason}.", detail=error.detail) from None


def secure(sock: TimedSocket, target: Target, deadline: Deadline, dial_again: Callable[[], TimedSocket]) -> TimedTlsSocket:
    """Shake hands on `sock` and judge the host's certificate; nothing else was sent when this raises.

    `dial_again` opens another connection to the same place: where verification fails, OpenSSL does not tell which certificate
    it saw, so that it is asked for once more. Raises UntrustedError, ProtocolError, or TransientError.
    """
    try:
        secured = _shake(context_for(target.tls, target.certificate, target.key), sock, target, deadline)
    except ssl.SSLCertVerificationError as error:
        raise _untrusted(error, target, _presented(target, deadline, dial_again)) from None
    except ssl.SSLError as error:
        raise _no_handshake(error, target) from None
    except TimeoutError as error:
        raise TransientError(
            f"{target.where} takes the connection and then says nothing. Is WinRM's HTTPS listener on that port, or a firewall?",
            detail=f"{type(error).__name__}: {error}",
        ) from None
    except OSError as error:
        raise TransientError(
            f"{target.where} broke off while TLS was being set up. Is WinRM's HTTPS listener on that port?",
            detail=f"{type(error).__name__}: {error}",
        ) from None
    if target.tls.pin is not None:
        try:
            _compare(secured.getpeercert(binary_form=True) or b"", target)
        except LyncarrError:
            secured.close()
            raise
    return secured


def _shake(context: ssl.SSLContext, sock: TimedSocket, target: Target, deadline: Deadline) -> TimedTlsSocket:
    sock.settimeout(max(deadline.left(), 0.001))
    try:
        secured = context.wrap_socket(sock, server_hostname=target.address)
    except BaseException:
        sock.close()
        raise
    assert isinstance(secured, TimedTlsSocket)  # noqa: S101  (what sslsocket_class promises; tells the type)
    return secured


def _presented(target: Target, deadline: Deadline, dial_again: Callable[[], TimedSocket]) -> bytes | None:
    """The host's certificate as DER, by a second handshake that trusts anything and sends nothing; None where that fails."""
    try:
        with _shake(_bare_context(), dial_again(), target, deadline) as secured:
            return secured.getpeercert(binary_form=True)
    except (OSError, LyncarrError):
        return None


def speaks_tls(sock: TimedSocket, target: Target, deadline: Deadline) -> bool:
    """Whether TLS answers on a fresh connection, whoever it is."""
    try:
        _shake(_bare_context(), sock, target, deadline).close()
    except OSError:
        return False
    return True


def described(der: bytes) -> str:
    """A certificate (DER) in one harmless line: subject, last day, SHA-256."""
    from cryptography import x509

    try:
        until = f", valid until {x509.load_der_x509_certificate(der).not_valid_after_utc:%Y-%m-%d}"
    except ValueError:
        until = ""
    return f"{_subject(der)}{until}, SHA-256 {hashlib.sha256(der).hexdigest().upper()}"


def _compare(der: bytes, target: Target) -> None:
    shown = hashlib.sha256(der).hexdigest().upper()
    if shown == target.tls.pin:
        return
    raise UntrustedError(
        f"STOP: {target.where} does not show the pinned certificate. Pinned is SHA-256 {target.tls.pin}, shown was {shown} "
        f"(subject {_subject(der)}). Somebody may be between you and the host: no password was sent. Only where you know that the "
        "certificate was renewed, read the new one's SHA-256 on the host itself and put it into the site file."
    )


def _untrusted(error: ssl.SSLCertVerificationError, target: Target, der: bytes | None) -> UntrustedError:
    where, code = target.where, error.verify_code
    if code == _EXPIRED:
        reason = f"The certificate of {where} has expired; renew it on the host."
    elif code == _NOT_YET_VALID:
        reason = f"The certificate of {where} is not valid yet; compare the clocks of the host and of this machine."
    elif code in _WRONG_NAME:
        reason = f"The certificate of {where} is for another name than {target.address}{_names(der)}; connect by a name that it holds."
    elif code in _TOO_WEAK:
        reason = f"The certificate of {where} has a key or signature that is too weak to be trusted; renew it on the host."
    else:
        kind = "it is self-signed" if code == _SELF_SIGNED else "nobody that this machine trusts has issued it"
        reason = f'The certificate of {where} is not trusted: {kind}. Name its issuer with tls = "ca:FILE", or pin it.'
    if der is not None:
        digest = hashlib.sha256(der).hexdigest().upper()
        reason += (
            f" It has the subject {_subject(der)} and the SHA-256 {digest}; compare that on the host: the script of lyncarr bootstrap, run "
            "there, prints it as the pin (Windows' certificate window shows SHA-1, which is another number). Only where they are the same, "
            f'this line in the site file trusts it: tls = "pin:sha256:{digest}"'
        )
    return UntrustedError(reason, detail=f"verify code {code}: {error.verify_message}")


def _no_handshake(error: ssl.SSLError, target: Target) -> LyncarrError:
    detail = f"{type(error).__name__}: {error.reason or error}"
    if error.reason in _NO_TLS:
        return ProtocolError(
            f"{target.where} does not speak TLS on that port; WinRM over HTTPS has port 5986 unless it was changed.", detail=detail
        )
    if error.reason in _OLD_TLS:
        return ProtocolError(f'{target.where} offers no TLS 1.2; switch it on there, or use tls = "off" with NTLM.', detail=detail)
    if target.certificate is not None and "ALERT" in (error.reason or ""):
        return refused_certificate(target, detail)
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError | ssl.SSLSyscallError):
        return TransientError(
            f"{target.where} broke off while TLS was being set up. Is WinRM's HTTPS listener on that port?", detail=detail
        )
    return ProtocolError(f"TLS with {target.where} could not be set up; is its HTTPS listener's certificate in order?", detail=detail)


def refused_certificate(target: Target, detail: str) -> RefusedError:
    """For a TLS alert that came back for the client's certificate."""
    return RefusedError(
        f"{target.where} refused the client certificate {target.certificate}; "
        "its issuer must be trusted there, and it must be mapped to an account (winrm/config/service/certmapping).",
        detail=detail,
    )


def _subject(der: bytes) -> str:
    """The subject in one harmless line: it was written by whoever answers there."""
    from cryptography import x509

    try:
        text = x509.load_der_x509_certificate(der).subject.rfc4514_string()
    except ValueError:
        return "(not readable)"
    return safe(text) or "(empty)"


def _names(der: bytes | None) -> str:
    """` (it holds a, b)`: the certificate's alternative names, as far as it has any."""
    from cryptography import x509

    if der is None:
        return ""
    try:
        extension = x509.load_der_x509_certificate(der).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (ValueError, x509.ExtensionNotFound):
        return ""
    names = ", ".join(str(name.value) for name in extension.value)
    return f" (it holds {safe(names)})" if names else ""
