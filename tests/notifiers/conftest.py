"""Real servers of the tests' own: one of HTTP that remembers, one of SMTP with and without TLS."""

from __future__ import annotations

import email
import email.policy
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest


@dataclass
class Receiver:
    """A server that takes POSTs.

    Args:
        url: its address.
        answers: status codes of the next answers; 200 when there are none.
        headers: headers of every answer.
        posts: what came: headers and the decoded JSON.
    """

    url: str
    answers: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    posts: list[tuple[dict[str, str], Any]] = field(default_factory=list)

    def text(self) -> str:
        """Return all that came as one text."""
        return json.dumps([body for _, body in self.posts], ensure_ascii=False)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Give a server of HTTP on this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            code = found.answers.pop(0) if found.answers else 200
            found.posts.append((dict(self.headers), json.loads(body)))
            self.send_response(code)
            for name, value in found.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Receiver(f"http://127.0.0.1:{server.server_port}/hook/s3cret")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def dead_port() -> int:
    """Give a port that nobody listens on."""
    import socket

    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a PEM file with a certificate for localhost, signed by itself, and its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "localhost.pem"
    encoding = serialization.Encoding.PEM
    secret = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(made.public_bytes(encoding) + secret)
    return file


@dataclass
class Mailbox:
    """A mail server.

    Args:
        port: its port.
        refusals: answers to the next messages, such as `451 later`; it takes them when there are none.
        mails: sender, receivers and message of what came.
    """

    port: int = 0
    refusals: list[str] = field(default_factory=list)
    mails: list[tuple[str, list[str], Any]] = field(default_factory=list)

    def text(self) -> str:
        """Return subjects and texts of all that came."""
        return "\n".join(f"{mail['subject']}\n{mail.get_content()}" for _, _, mail in self.mails)


@pytest.fixture
def mail_server(certificate: Path) -> Iterator[Callable[..., Mailbox]]:
    """Give a function that starts a mail server on this machine: `tls` as the notifier's, `user` and `password`."""
    from aiosmtpd.controller import Controller
    from aiosmtpd.smtp import AuthResult

    running = []

    def start(tls: str = "none", user: str | None = None, password: str | None = None) -> Mailbox:
        box = Mailbox()

        class Handler:
            async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
                if box.refusals:
                    return box.refusals.pop(0)
                message = email.message_from_bytes(envelope.content, policy=email.policy.default)
                box.mails.append((envelope.mail_from, envelope.rcpt_tos, message))
                return "250 OK"

        def known(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
            right = (data.login.decode(), data.password.decode()) == (user, password)
            return AuthResult(success=right, handled=False)

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        more: dict[str, Any] = {"ssl_context": context} if tls == "ssl" else {}
        if tls == "starttls":
            more |= {"tls_context": context, "require_starttls": True}
        if user:
            more |= {"authenticator": known, "auth_required": True, "auth_require_tls": tls == "starttls"}
        # Port 0 is taken by the operating system; the controller then asks its own server for the number.
        server = Controller(Handler(), hostname="localhost", port=_free_port(), **more)
        server.start()
        running.append(server)
        box.port = server.port
        return box

    yield start
    for server in running:
        server.stop(no_assert=True)


def _free_port() -> int:
    import socket

    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])
