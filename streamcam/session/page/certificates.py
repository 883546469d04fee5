"""TLS for the page: a certificate that somebody has, or one that is made here at the first use."""

from __future__ import annotations

import datetime
import ipaddress
import os
import socket
import ssl
from pathlib import Path

from streamcam.errors import InvalidArgumentError, SinkError, map_errors
from streamcam.files import unfinished
from streamcam.session.page.links import local_address

_VALID_DAYS = 397
"""Browsers distrust certificates that are valid for longer."""

_RENEWED_DAYS = 7


def load_certificate(cert: str | Path | None, key: str | Path | None) -> ssl.SSLContext:
    """Return what a server needs to encrypt.

    Args:
        cert: A certificate, PEM; None for one that is made here.
        key: Its key, PEM.

    Raises:
        InvalidArgumentError: if the files cannot be read, are no certificate and key, or do not belong
            together; or if cryptography, which makes certificates, is not installed.
        SinkError: if one cannot be saved.
    """
    if cert is None or key is None:
        cert, key = _own_certificate()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for path in (cert, key):
        if not Path(path).is_file():
            raise InvalidArgumentError(f"no file {str(path)!r}; check `tls_cert` and `tls_key`")
    with map_errors(
        OSError,  # ssl.SSLError among them
        ValueError,
        to=lambda _: InvalidArgumentError(
            f"{str(cert)!r} and {str(key)!r} are no certificate and its key, in PEM; check `tls_cert` and "
            "`tls_key`"
        ),
    ):
        context.load_cert_chain(cert, key)
    return context


def certificate_directory() -> Path:
    """Return the directory of the certificate that is made here."""
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "streamcam" / "tls"


def _own_certificate() -> tuple[Path, Path]:
    """Return certificate and key for this computer's names; they are made again where they do not fit."""
    directory = certificate_directory()
    cert, key = directory / "cert.pem", directory / "key.pem"
    names = ["localhost", socket.gethostname()]
    addresses = sorted({"127.0.0.1", local_address()})
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import NameOID
    except ModuleNotFoundError as error:
        raise InvalidArgumentError(
            f"certificates need {error.name}: install it with pip install 'streamcam[page]', or give "
            "`tls_cert` and `tls_key`"
        ) from error

    now = datetime.datetime.now(datetime.UTC)

    def fits() -> bool:
        """Return whether the saved certificate is for this computer, and valid for some time."""
        try:
            saved = x509.load_pem_x509_certificate(cert.read_bytes())
            held = saved.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except (OSError, ValueError, x509.ExtensionNotFound):
            return False
        held_addresses = {str(address) for address in held.get_values_for_type(x509.IPAddress)}
        left = saved.not_valid_after_utc - now
        return key.is_file() and held_addresses >= set(addresses) and left.days >= _RENEWED_DAYS

    if fits():
        return cert, key
    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "streamcam on this computer")])
    alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
    alternatives += [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=_VALID_DAYS))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(private, hashes.SHA256())
    )
    with map_errors(
        OSError,
        to=lambda error: SinkError(f"the certificate cannot be saved in {str(directory)!r}: {error}"),
    ):
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    secret = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for path, content in ((key, secret), (cert, made.public_bytes(serialization.Encoding.PEM))):
        with unfinished(path, is_private=True) as part:
            part.write_bytes(content)
    return cert, key
