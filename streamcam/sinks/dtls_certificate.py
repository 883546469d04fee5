"""A certificate for WebRTC: one that FFmpeg makes itself is of a kind that not all servers take."""

from __future__ import annotations

import datetime
import os
from pathlib import Path

_VALID_DAYS = 30


def write_certificate(folder: Path) -> dict[str, str]:
    """Make a certificate of elliptic curves, whose print WebRTC compares, and nothing else of it.

    Args:
        folder: Where its two files are written, for the owner's eyes only.

    Returns:
        FFmpeg's options for it; none without cryptography, which comes with ``streamcam[page]``.

    Raises:
        OSError: if it cannot be written.
    """
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import NameOID
    except ModuleNotFoundError:
        return {}
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "streamcam")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=_VALID_DAYS))
        .sign(key, hashes.SHA256())
    )
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    written = {
        "cert_file": certificate.public_bytes(encoding),
        "key_file": key.private_bytes(encoding, serialization.PrivateFormat.TraditionalOpenSSL, plain),
    }
    options: dict[str, str] = {}
    for option, content in written.items():
        path = folder / f"{option}.pem"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        options[option] = str(path)
    return options
