"""Certificates as Proxmox VE makes them, and as they go wrong."""

import hashlib
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Certificate:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def fingerprint(self) -> str:
        """As Proxmox VE shows it, by another way than the code under test."""
        digest = hashlib.sha256(self.certificate.public_bytes(serialization.Encoding.DER)).digest()
        return ':'.join(f'{byte:02X}' for byte in digest)

    def server_context(self, folder: Path) -> ssl.SSLContext:
        key = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path = folder / f'{self.certificate.serial_number}.pem'
        path.write_bytes(key + self.pem.encode())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context


def make_ca(name: str = 'Proxmox Virtual Environment') -> Certificate:
    """As pve-root-ca.pem: a CA by basicConstraints, without keyUsage."""
    return _make(name, None, ca=True)


def make_leaf(issuer: Certificate | None, *names: str, days: tuple[int, int] = (-1, 30)) -> Certificate:
    """
    Args:
        issuer: None: self-signed.
        names: DNS names and IP addresses that it is made out to.
        days: Validity in days from now.
    """
    return _make(names[0], issuer, names=names, days=days)


def _make(
    common_name: str,
    issuer: Certificate | None,
    *,
    ca: bool = False,
    names: tuple[str, ...] = (),
    days: tuple[int, int] = (-1, 30),
) -> Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    now = datetime.now(UTC)
    signer = issuer.key if issuer else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=days[0]))
        .not_valid_after(now + timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([_name(name) for name in names]), critical=False)
    return Certificate(builder.sign(signer, hashes.SHA256()), key)


def _name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(text))
    except ValueError:
        return x509.DNSName(text)
