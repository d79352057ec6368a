"""What a person is told about certificates and brokers, without a trouble."""

from __future__ import annotations

import errno
import socket
import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from nesgw.config.settings import MqttSettings, TlsSettings
from nesgw.errors import ConfigError
from nesgw.publishers.mqtt import trouble

SETTINGS = MqttSettings("box", 8883, tls=TlsSettings())


def mistake(tls: TlsSettings) -> str:
    with pytest.raises(ConfigError) as error:
        trouble.tls_context(tls)
    (line,) = error.value.problems
    return line


class TestCertificateFiles:
    def test_without_files_the_systems_cas_are_trusted_and_names_checked(self) -> None:
        context = trouble.tls_context(TlsSettings())
        assert context.check_hostname
        assert context.verify_mode is ssl.CERT_REQUIRED

    def test_certificate_and_key_may_share_a_file(self, certificates: Path) -> None:
        trouble.tls_context(TlsSettings(certificates / "ca.pem", certificates / "client_both.pem"))

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        file = tmp_path / "ca.pem"
        assert mistake(TlsSettings(file)) == (
            f"[mqtt.tls] ca_file: {file}: no such file or directory: correct the path"
        )

    def test_a_file_that_is_no_pem_is_named(self, tmp_path: Path) -> None:
        file = tmp_path / "ca.der"
        file.write_bytes(b"\x30\x82")
        assert mistake(TlsSettings(file)) == (
            f"[mqtt.tls] ca_file: {file}: holds no certificate in PEM format: give the CA's certificate"
        )

    def test_a_key_of_another_certificate_is_named(self, certificates: Path) -> None:
        tls = TlsSettings(certificates / "ca.pem", certificates / "client.pem", certificates / "server.key")
        assert mistake(tls) == (
            f"[mqtt.tls] key_file: {certificates / 'server.key'}: does not belong to {certificates / 'client.pem'}: "
            "give the key that the certificate was made with"
        )

    def test_a_certificate_without_a_key_is_named(self, certificates: Path) -> None:
        assert mistake(TlsSettings(None, certificates / "client.pem")) == (
            f"[mqtt.tls] cert_file: {certificates / 'client.pem'}: holds no certificate and key in PEM format: "
            "give the certificate and its key as PEM"
        )

    def test_a_key_with_a_passphrase_is_named_and_not_asked_for_on_the_terminal(
        self, certificates: Path, tmp_path: Path
    ) -> None:
        key = serialization.load_pem_private_key((certificates / "client.key").read_bytes(), None)
        locked = tmp_path / "locked.key"
        locked.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(b"secret"),
            )
        )
        assert mistake(TlsSettings(None, certificates / "client.pem", locked)) == (
            f"[mqtt.tls] key_file: {locked}: is protected by a passphrase: "
            "take the passphrase off: openssl pkey -in OLD -out NEW"
        )


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            OSError(errno.EHOSTUNREACH, "x"),
            "the host cannot be reached: switch it on, or check host and port under [mqtt]",
        ),
        (
            OSError(errno.ENETUNREACH, "x"),
            "there is no network: nothing to do unless it lasts; nesgw tries again",
        ),
        (
            TimeoutError("timed out"),
            "it does not answer: check the broker and the firewall, or check host and port under [mqtt]",
        ),
        (
            socket.gaierror(socket.EAI_AGAIN, "x"),
            "the name cannot be looked up now: check the network and its DNS",
        ),
        (
            socket.gaierror(socket.EAI_NONAME, "x"),
            "no host has this name: check host and port under [mqtt]",
        ),
    ],
)
def test_why_there_is_no_connection_is_one_line(error: Exception, line: str) -> None:
    assert str(trouble.unreachable(SETTINGS, error)) == f"MQTT broker box:8883: {line}"


@pytest.mark.parametrize(
    ("code", "line"),
    [
        (9, "its certificate is not valid yet: check this machine's clock (timedatectl)"),
        (10, "its certificate has expired: renew it, and check this machine's clock"),
    ],
)
def test_a_certificate_out_of_date_is_one_line(code: int, line: str) -> None:
    error = ssl.SSLCertVerificationError(1, "x")
    error.verify_code = code
    assert str(trouble.bad_tls(SETTINGS, error)) == f"MQTT broker box:8883: {line}"


class TestNobodyListens:
    """What to do depends on whose machine it is, and on whether a broker is installed on this one."""

    @pytest.mark.parametrize(
        ("host", "installed", "advice"),
        [
            ("localhost", "/usr/sbin/mosquitto", "start it (sudo systemctl start mosquitto)"),
            ("127.0.0.1", None, "install one (sudo apt install mosquitto)"),
            ("192.168.1.20", None, "start it on that machine, and let it listen for others (docs/broker.md)"),
            ("homeassistant.local", "/usr/sbin/mosquitto", "start it on that machine"),
        ],
    )
    def test_here_and_elsewhere(
        self, host: str, installed: str | None, advice: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def which(*_: object, **__: object) -> str | None:
            return installed

        monkeypatch.setattr("shutil.which", which)
        said = trouble.unreachable(MqttSettings(host), ConnectionRefusedError(errno.ECONNREFUSED, "refused"))
        assert said.remedy.startswith(advice)
        assert said.remedy.endswith(", or check host and port under [mqtt]")
