"""
Certificates for the stand-in, of the kinds that are met on real Proxmox VE hosts.

| kind | what |
|---|---|
| self-signed | one certificate that signs itself |
| proxmox-ca | signed by an own CA that has no keyUsage, as the CA that Proxmox VE makes for each cluster |
| mismatch | as proxmox-ca, but issued for another hostname |
| expired | as proxmox-ca, but no longer valid |
"""

import datetime
import ipaddress
import os
import ssl
import tempfile
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = ('Kind', 'Tls')

Kind = Literal['self-signed', 'proxmox-ca', 'mismatch', 'expired']
HOSTS = ('localhost', '127.0.0.1', '::1')


@dataclass(frozen=True)
class Tls:
    """
    A server's key and certificate.

    Attributes:
        key_pem: Private key.
        certificate_pem: Certificate of the server.
        ca_pem: What a client has to trust: the CA's certificate, or the self-signed one.
    """

    key_pem: str
    certificate_pem: str
    ca_pem: str

    @classmethod
    def generate(cls, kind: Kind = 'self-signed', hosts: Sequence[str] = HOSTS) -> 'Tls':
        """Make a new key and certificate."""
        key = ec.generate_private_key(ec.SECP256R1())
        if kind == 'self-signed':
            name = _name('localhost', 'PVE Cluster Node')
            certificate = _certificate(name, name, key, key, hosts, key_usage=True)
            authority = certificate
        else:
            authority_key = ec.generate_private_key(ec.SECP256R1())
            authority_name = _name('Proxmox Virtual Environment', 'PVE Cluster Manager CA', str(uuid.uuid4()))
            authority = _authority(authority_name, authority_key)
            if kind == 'mismatch':
                hosts = ('pve1.another-site.example',)
            name = _name(hosts[0], 'Proxmox Virtual Environment', 'PVE Cluster Node')
            certificate = _certificate(
                name, authority_name, key, authority_key, hosts, expired=kind == 'expired', key_usage=False
            )
        return cls(
            key_pem=key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ).decode(),
            certificate_pem=_pem(certificate),
            ca_pem=_pem(authority),
        )

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate as Proxmox VE shows it: upper case, with colons."""
        return self._certificate.fingerprint(hashes.SHA256()).hex(':').upper()

    @property
    def _certificate(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.certificate_pem.encode())

    def context(self) -> ssl.SSLContext:
        """For a server."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # The ssl module loads keys from files only.
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, 'server.pem')
            with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), 'w') as file:
                file.write(self.key_pem + self.certificate_pem)
            context.load_cert_chain(path)
        return context

    def information(self) -> dict[str, object]:
        """A row of /nodes/N/certificates/info."""
        certificate = self._certificate
        return {
            'filename': 'pve-ssl.pem',
            'fingerprint': self.fingerprint,
            'issuer': _slashes(certificate.issuer),
            'notafter': int(certificate.not_valid_after_utc.timestamp()),
            'notbefore': int(certificate.not_valid_before_utc.timestamp()),
            'pem': self.certificate_pem,
            'public-key-bits': 256,
            'public-key-type': 'id-ecPublicKey',
            'san': [str(name.value) for name in _names(certificate)],
            'subject': _slashes(certificate.subject),
        }


def _name(common: str, organization: str, unit: str | None = None) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common)]
    if unit:
        attributes.append(x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit))
    attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(attributes)


def _names(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value


def _slashes(name: x509.Name) -> str:
    short = {NameOID.COMMON_NAME: 'CN', NameOID.ORGANIZATIONAL_UNIT_NAME: 'OU', NameOID.ORGANIZATION_NAME: 'O'}
    return ''.join(f'/{short[attribute.oid]}={attribute.value}' for attribute in name)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _builder(subject: x509.Name, issuer: x509.Name, key, expired: bool = False) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    begin = now - datetime.timedelta(days=730 if expired else 1)
    end = now + datetime.timedelta(days=-1 if expired else 730)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _authority(name: x509.Name, key) -> x509.Certificate:
    # Proxmox VE's own CA has no keyUsage; strict verification (the default of Python 3.13) rejects it for that reason.
    builder = _builder(name, name, key)
    return builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(
        key, hashes.SHA256()
    )


def _certificate(subject, issuer, key, signer, hosts: Sequence[str], *, key_usage: bool, expired: bool = False):
    names = [_alternative(host) for host in hosts]
    builder = (
        _builder(subject, issuer, key, expired)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
    )
    if key_usage:
        usage = dict.fromkeys(
            ('content_commitment', 'data_encipherment', 'key_agreement', 'crl_sign', 'encipher_only', 'decipher_only'),
            False,
        )
        builder = builder.add_extension(
            x509.KeyUsage(digital_signature=True, key_encipherment=True, key_cert_sign=True, **usage), critical=True
        )
    return builder.sign(signer, hashes.SHA256())


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
