"""A certificate of our own for wss and https, made once per data folder by the ``openssl`` program."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path

from trade_platform.adapters.process import CannotStart

NAMES = "subjectAltName=DNS:localhost,IP:127.0.0.1"


def server_context(folder: Path) -> ssl.SSLContext:
    """TLS for the server; clients trust ``certificate.pem`` of the folder (setting TLS_CA_FILE)."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    if not certificate.exists():
        _make(certificate, key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def _make(certificate: Path, key: Path) -> None:
    program = shutil.which("openssl")
    if program is None:
        raise CannotStart(
            "--tls needs the openssl program to make a certificate: install it, or leave out --tls."
        )
    certificate.parent.mkdir(parents=True, exist_ok=True)
    made = subprocess.run(
        [program, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650", "-subj", "/CN=localhost",
         "-addext", NAMES, "-keyout", str(key), "-out", str(certificate)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if made.returncode:
        raise CannotStart(f"openssl could not make a certificate: {made.stderr.strip()[-200:]}")
    key.chmod(0o600)
