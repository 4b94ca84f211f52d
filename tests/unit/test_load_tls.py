"""The load engine through TLS and proxies."""

import base64
import contextlib
import datetime
import socket
import ssl
import threading
from ipaddress import ip_address

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from fixtures.load.engine import LoadTarget, drive_load
from tests.unit.told_server import serving, writes


@pytest.fixture
def certificate(tmp_path):
    """A self-signed certificate for 127.0.0.1 and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(7).not_valid_before(start).not_valid_after(start + datetime.timedelta(days=9))
    made = made.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file = tmp_path / "server.pem"
    pem = serialization.Encoding.PEM
    file.write_bytes(made.sign(key, hashes.SHA256()).public_bytes(pem) + key.private_bytes(pem, *plain))
    return str(file)


def test_tls_is_verified_as_the_session_says(certificate):
    tls, session = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), requests.Session()
    tls.load_cert_chain(certificate)
    session.trust_env = False
    with serving(tls=tls) as server:
        assert "CERTIFICATE_VERIFY_FAILED" in drive_load(LoadTarget.of(server.uri), [writes(2)]).refused[0].message
        session.verify = certificate
        assert len(drive_load(LoadTarget.of(server.uri, session), [writes(2)]).ok) == 2
        session.verify = False
        assert len(drive_load(LoadTarget.of(server.uri, session), [writes(2)]).ok) == 2


def test_a_proxy_is_asked_for_a_tunnel_to_a_server_with_tls(certificate):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    with serving(tls=tls) as server, tunnelling() as (proxy, asked):
        session = requests.Session()
        session.verify, session.proxies, session.trust_env = certificate, {"https": proxy}, False
        assert len(drive_load(LoadTarget.of(server.uri, session), [writes(3)]).ok) == 3
    port = server.uri.rpartition(":")[2]
    assert [line.split()[:2] for line in asked] == [[b"CONNECT", f"127.0.0.1:{port}".encode()]]
    assert b"Proxy-Authorization: Basic " + base64.b64encode(b"ann:secret") in asked[0]


@contextlib.contextmanager
def tunnelling():
    """(URL, what it was asked) of a proxy that passes bytes on for CONNECT."""
    listener, asked = socket.create_server(("127.0.0.1", 0)), []

    def pump(source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def accept():
        with contextlib.suppress(OSError):
            while True:
                link, _ = listener.accept()
                asked.append(link.recv(65536))
                host, port = asked[-1].split()[1].decode().split(":")
                far = socket.create_connection((host, int(port)))
                link.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                for pair in ((link, far), (far, link)):
                    threading.Thread(target=pump, args=pair, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://ann:secret@127.0.0.1:{listener.getsockname()[1]}", asked
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
