"""Where the MQTT broker is, how to trust it, and what to tell a person about trouble with it.

Opens no connection and knows no MQTT library; no sentence contains the password.
"""

from __future__ import annotations

import errno
import shutil
import socket
import ssl
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Any, Final

from nesgw.config.settings import MqttSettings, TlsSettings
from nesgw.errors import BrokerUnavailable, ConfigError
from nesgw.publishers.message import Message
from nesgw.values import printable


def brokers(settings: MqttSettings) -> tuple[MqttSettings, ...]:
    """Return the settings of each broker alone, the preferred one first."""
    return tuple(replace(settings, host=host, other_hosts=()) for host in settings.hosts)


class Stage(Enum):
    """How far a connection came before it failed; the fact ``stage`` of a ``BrokerUnavailable``."""

    REACH = "reach"
    TLS = "tls"
    LOGIN = "login"
    USE = "use"


class TlsContext(ssl.SSLContext):
    """A client's context that can close a socket whose handshake failed, which its maker loses hold of."""

    last: ssl.SSLSocket | None = None

    def wrap_socket(self, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        """Wrap a socket and remember it."""
        self.last = super().wrap_socket(*args, **kwargs)
        return self.last

    def close_last(self) -> bool:
        """Close the socket that was wrapped last; whether there was one."""
        if self.last is None:
            return False
        self.last.close()
        self.last = None
        return True


def tls_context(tls: TlsSettings) -> TlsContext:
    """Load the certificates; a file that cannot serve is a mistake of the configuration."""
    context = TlsContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = tls.verify_hostname
    if tls.ca_file is None:
        context.load_default_certs()
    else:
        _load_ca(context, tls.ca_file)
    if tls.cert_file is not None:
        _load_certificate(context, tls.cert_file, tls.key_file)
    return context


def _load_ca(context: ssl.SSLContext, file: Path) -> None:
    _check_readable("ca_file", file)
    try:
        context.load_verify_locations(file)
    except ssl.SSLError as error:
        raise _mistake("ca_file", file, "holds no certificate in PEM format", "give the CA's certificate") from error


def _load_certificate(context: ssl.SSLContext, file: Path, key_file: Path | None) -> None:
    _check_readable("cert_file", file)
    if key_file is not None:
        _check_readable("key_file", key_file)
    try:
        context.load_cert_chain(file, key_file, password=_no_passphrase)
    except ValueError as error:
        advice = "take the passphrase off: openssl pkey -in OLD -out NEW"
        raise _mistake("key_file", key_file or file, "is protected by a passphrase", advice) from error
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            advice = "give the key that the certificate was made with"
            raise _mistake("key_file", key_file or file, f"does not belong to {file}", advice) from error
        where = file if key_file is None else f"{file} or {key_file}"
        advice = "give the certificate and its key as PEM"
        raise _mistake("cert_file", where, "holds no certificate and key in PEM format", advice) from error


def _no_passphrase() -> str:
    # Without this OpenSSL would ask for it on the terminal.
    raise ValueError("a passphrase is needed")


def _check_readable(option: str, file: Path) -> None:
    try:
        with file.open("rb"):
            pass
    except OSError as error:
        advice = "let the nesgw user read it" if isinstance(error, PermissionError) else "correct the path"
        raise _mistake(option, file, (error.strerror or "cannot be read").lower(), advice) from error


def _mistake(option: str, file: Path | str, problem: str, advice: str) -> ConfigError:
    return ConfigError([f"[mqtt.tls] {option}: {file}: {problem}: {advice}"])


def bad_files(settings: MqttSettings, mistake: ConfigError) -> BrokerUnavailable:
    """Say which certificate file keeps us from connecting; the line holds the advice already."""
    problem, _, advice = mistake.problems[0].rpartition(": ")
    return trouble(settings, Stage.TLS, problem, advice)


def trouble(settings: MqttSettings, stage: Stage, problem: str, advice: str) -> BrokerUnavailable:
    """Make the error that says what is wrong with this broker."""
    return BrokerUnavailable(host=settings.host, port=settings.port, problem=problem, advice=advice, stage=stage.value)


_ADDRESS: Final = "check host and port under [mqtt]"

_HERE: Final = frozenset({"localhost", "::1"})
_REACH: Final = {
    errno.ENETUNREACH: ("there is no network", "nothing to do unless it lasts; nesgw tries again"),
    errno.EHOSTUNREACH: ("the host cannot be reached", f"switch it on, or {_ADDRESS}"),
    errno.ETIMEDOUT: ("it does not answer", f"check the broker and the firewall, or {_ADDRESS}"),
}


def unreachable(settings: MqttSettings, error: Exception) -> BrokerUnavailable:
    """Say why no connection came about."""
    if isinstance(error, ssl.SSLError):
        return bad_tls(settings, error)
    if isinstance(error, socket.gaierror):
        if error.errno == socket.EAI_AGAIN:
            return trouble(settings, Stage.REACH, "the name cannot be looked up now", "check the network and its DNS")
        return trouble(settings, Stage.REACH, "no host has this name", _ADDRESS)
    if isinstance(error, ValueError):  # a name that cannot even be looked up
        return trouble(settings, Stage.REACH, "this is not the name of a host", _ADDRESS)
    code = errno.ETIMEDOUT if isinstance(error, TimeoutError) else getattr(error, "errno", None)
    if settings.tls and isinstance(error, ConnectionResetError):
        return _no_tls(settings)
    if code == errno.ECONNREFUSED:
        return trouble(settings, Stage.REACH, "no broker listens there", _nobody_listens(settings.host))
    problem, advice = _REACH.get(code or 0, (str(error), _ADDRESS))
    return trouble(settings, Stage.REACH, problem, advice)


def _nobody_listens(host: str) -> str:
    """Say what to do about it: on this machine a broker is started or installed, on another one it is let out."""
    if host not in _HERE and not host.startswith("127."):
        return f"start it on that machine, and let it listen for others (docs/broker.md), or {_ADDRESS}"
    if shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin") is None:
        return f"install one (sudo apt install mosquitto), or {_ADDRESS}"
    return f"start it (sudo systemctl start mosquitto), or {_ADDRESS}"


# OpenSSL's X509_V_ERR_…: the certificate of the broker does not hold.
_UNTRUSTED: Final = frozenset({2, 18, 19, 20, 21})
_NOT_YET_VALID: Final = 9
_EXPIRED: Final = 10
_WRONG_NAME: Final = frozenset({62, 64})


def bad_tls(settings: MqttSettings, error: ssl.SSLError) -> BrokerUnavailable:
    """Say why the handshake failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        code = error.verify_code
        if code in _UNTRUSTED:
            problem = "its certificate comes from a CA that is not trusted"
            advice = "set ca_file under [mqtt.tls] to the certificate of the broker's CA"
        elif code in _WRONG_NAME:
            problem = "its certificate is made out to another name"
            advice = (
                "set host to a name that the certificate lists as subjectAltName (its CN does not count), "
                "or verify_hostname = false under [mqtt.tls]"
            )
        elif code == _EXPIRED:
            problem, advice = "its certificate has expired", "renew it, and check this machine's clock"
        elif code == _NOT_YET_VALID:
            problem, advice = "its certificate is not valid yet", "check this machine's clock (timedatectl)"
        else:
            problem, advice = f"its certificate does not hold: {error.verify_message}", "check [mqtt.tls]"
        return trouble(settings, Stage.TLS, problem, advice)
    if error.reason in {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"} or isinstance(error, ssl.SSLEOFError):
        return _no_tls(settings)
    return alerted(settings, str(error)) or trouble(
        settings, Stage.TLS, f"TLS failed: {(error.reason or str(error)).lower()}", "check [mqtt.tls]"
    )


def alerted(settings: MqttSettings, text: str) -> BrokerUnavailable | None:
    """Say what the broker has against our certificate, if ``text`` is such an alert of OpenSSL's."""
    if "ALERT_CERTIFICATE_REQUIRED" in text or ("ALERT_HANDSHAKE_FAILURE" in text and _has_no_certificate(settings)):
        problem, advice = "it asks for a client certificate", "set cert_file and key_file under [mqtt.tls]"
    elif "ALERT_UNKNOWN_CA" in text or "ALERT_BAD_CERTIFICATE" in text or "ALERT_CERTIFICATE" in text:
        problem = "it does not accept our client certificate"
        advice = "set cert_file and key_file under [mqtt.tls] to a certificate that its CA issued"
    else:
        return None
    return trouble(settings, Stage.TLS, problem, advice)


def _has_no_certificate(settings: MqttSettings) -> bool:
    return settings.tls is not None and settings.tls.cert_file is None


def _no_tls(settings: MqttSettings) -> BrokerUnavailable:
    advice = "set the port that it speaks TLS on (mostly 8883), or enabled = false under [mqtt.tls]"
    return trouble(settings, Stage.TLS, "it does not speak TLS on this port", advice)


def no_handshake(settings: MqttSettings) -> BrokerUnavailable:
    """Say that something took the connection and never went on with TLS."""
    problem = "it takes the connection but does not answer the TLS handshake"
    advice = "set the port that it speaks TLS on (mostly 8883), or restart the broker"
    return trouble(settings, Stage.REACH, problem, advice)


def silent(settings: MqttSettings, closed: bool) -> BrokerUnavailable:
    """Say that something took the connection but did not answer as a broker does."""
    if closed and settings.tls is not None:
        # It has an alert to say why, which a socket that is closed at once may not let us read.
        problem = "it closes the connection after the TLS handshake"
        advice = (
            "if it asks for a client certificate, set cert_file and key_file under [mqtt.tls] to one that it accepts"
        )
        return trouble(settings, Stage.TLS, problem, advice)
    problem = "it closes the connection without an answer" if closed else "it takes the connection but does not answer"
    advice = "check that MQTT is spoken on this port"
    if settings.tls is None:
        advice += ", and if with TLS (mostly on 8883), set enabled = true under [mqtt.tls]"
    return trouble(settings, Stage.REACH, problem, advice)


# What can be told from the first bytes of an answer (MQTT 3.1.1, 3.2; RFC 8446, 5.1).
_CONNACK: Final = b"\x20\x02"
_TLS_ALERT: Final = b"\x15\x03"
_NO_SUCH_VERSION: Final = 1
_SHOWN: Final = 60


def no_broker(settings: MqttSettings, answer: bytes) -> BrokerUnavailable:
    """Say that what listens there speaks no MQTT; ``answer`` is how what it says begins, as far as that is known."""
    if answer.startswith(_TLS_ALERT):
        advice = "set enabled = true under [mqtt.tls], or the port without TLS (mostly 1883)"
        return trouble(settings, Stage.TLS, "it speaks TLS on this port", advice)
    if answer[:1] == _CONNACK[:1] and answer[1:2] > _CONNACK[1:] and len(answer) == 2 + answer[1]:
        advice = "allow clients of MQTT 3.1.1 there, or update the broker"
        return trouble(settings, Stage.LOGIN, "it answers in MQTT 5, which it was not asked in", advice)
    if answer.startswith(_CONNACK) and answer[3:4] == bytes([_NO_SUCH_VERSION]):
        return trouble(settings, Stage.LOGIN, "it does not speak MQTT 3.1.1", "update the broker")
    line = answer.decode("ascii", "replace").strip().partition("\r")[0].partition("\n")[0]
    said = f' (it says "{printable(line, _SHOWN)}")' if line.isascii() and line.isprintable() and line else ""
    return trouble(settings, Stage.REACH, f"what answers there is no MQTT broker{said}", _ADDRESS)


def no_mqtt(settings: MqttSettings) -> BrokerUnavailable:
    """Say that a broker that had let us in sent bytes that are no packets."""
    advice = "nothing to do unless it lasts; nesgw tries again. If it does, update or restart the broker"
    return trouble(settings, Stage.USE, "it sent what is no MQTT", advice)


def too_large(settings: MqttSettings, size: int, largest: int) -> BrokerUnavailable:
    """Say that a packet from the broker is larger than what is taken in."""
    problem = f"it sent a message of {size / 1e6:.0f} MB, and nesgw takes {largest / 1e6:.0f} MB at most"
    advice = (
        "remove what is retained on nesgw's topics there (nesgw forget lists the meters), or limit the size of messages"
    )
    return trouble(settings, Stage.USE, problem, advice)


def lost(settings: MqttSettings) -> BrokerUnavailable:
    """Say that a good connection is no more."""
    return trouble(settings, Stage.USE, "the connection was lost", "nothing to do unless it lasts; nesgw tries again")


def dropped(settings: MqttSettings, client_id: str) -> BrokerUnavailable:
    """Say that connections are good, but none lasts."""
    problem = "it lets us in and drops the connection within seconds, again and again"
    advice = (
        "look into its log for why; if another program uses our client id "
        f'"{client_id}", give one of the two another name'
    )
    return trouble(settings, Stage.USE, problem, advice)


def no_will(settings: MqttSettings, topic: str) -> BrokerUnavailable:
    """Say that the broker lets us in, but not with a last will on this topic."""
    advice = f"allow {_who(settings)} to write {topic} there; until then nobody learns of it if this gateway dies"
    return trouble(settings, Stage.USE, "it lets us in only without a last will", advice)


def _who(settings: MqttSettings) -> str:
    return f'user "{settings.username}"' if settings.username else "clients without a login"


def no_acknowledgement(settings: MqttSettings, seconds: float, passed: str = "") -> BrokerUnavailable:
    """Say that the broker answers pings but no messages; or all but one, which is ``passed``."""
    problem = f"it has acknowledged nothing for {seconds:.0f} s although the connection stands"
    advice = "restart the broker if it lasts; nesgw connects again"
    if passed:
        problem = f"it has not answered {passed} for {seconds:.0f} s, but what came later"
        advice = "allow it there, or update the broker; nesgw connects again"
    return trouble(settings, Stage.USE, problem, advice)


def unreadable(settings: MqttSettings, topics: Iterable[str]) -> BrokerUnavailable:
    """Say which topics a subscription was refused for."""
    problem = f"it does not let us read {', '.join(topics)}"
    return trouble(settings, Stage.USE, problem, "allow it in the broker's access control list")


def nothing_back(settings: MqttSettings) -> BrokerUnavailable:
    """Say that not one of our own messages can be read: an access control list works without a word."""
    problem = "it takes our messages, but none of them can be read back"
    advice = (
        f"allow {_who(settings)} to write and to read our topics (docs/mqtt.md) in the broker's access control list"
    )
    return trouble(settings, Stage.USE, problem, advice)


_NAMED: Final = 3  # topics in a sentence


def not_kept(settings: MqttSettings, messages: Sequence[Message]) -> BrokerUnavailable:
    """Say which retained messages the broker has taken and does not have."""
    sizes = [f"{each.topic} ({len(each.payload.encode()):,} bytes)".replace(",", " ") for each in messages]
    more = f" and {len(sizes) - _NAMED} more" if len(sizes) > _NAMED else ""
    problem = f"it takes, but does not keep {', '.join(sizes[:_NAMED])}{more}"
    advice = "raise its limit for the size of messages, or allow the topic in its access control list"
    return trouble(settings, Stage.USE, problem, advice)


def keeps_nothing(settings: MqttSettings) -> BrokerUnavailable:
    """Say that the broker passes messages on and retains none."""
    advice = "allow retained messages there: until then Home Assistant learns of nothing that was sent before its start"
    return trouble(settings, Stage.USE, "it keeps no retained messages", advice)


def name_conflict(settings: MqttSettings, name: str, other: str) -> BrokerUnavailable:
    """Say that another gateway uses our name."""
    problem = f'another gateway named "{name}" is connected to it too ({other})'
    return trouble(settings, Stage.USE, problem, "give one of the two another [gateway] name")


def meter_conflict(settings: MqttSettings, others: Mapping[str, str], ours: Collection[str]) -> BrokerUnavailable:
    """Say which gateways read meters that we read (``others``: by the meter's id); ``ours`` are those we publish."""
    who = [
        f'meter {meter} is read by gateway "{printable(name, 40)}" too, which '
        + ("came later and waits" if meter in ours else "came first: it is not published from here")
        for meter, name in list(others.items())[:_NAMED]
    ]
    advice = "take it out of the configuration of one of the two; if they are two meters, ask the utility for their ids"
    return trouble(settings, Stage.USE, "; ".join(who), advice)


_LONGEST_LOGIN: Final = 65_535  # bytes (MQTT 3.1.1, 1.5.3)


def check_login(settings: MqttSettings) -> None:
    """Refuse a user name or password that no CONNECT packet can carry."""
    for option, size in (("username", len(settings.username.encode())), ("password", len(settings.password.reveal()))):
        if size > _LONGEST_LOGIN:
            problem = f"the {option} is longer than MQTT allows ({_LONGEST_LOGIN} bytes)"
            raise trouble(settings, Stage.LOGIN, problem, f"correct the {option} under [mqtt]")


# The return codes of CONNACK, as MQTT 5 numbers them, which is how paho gives them.
_PROTOCOL: Final = 132
_CLIENT_ID: Final = 133
_BAD_LOGIN: Final = 134
NOT_AUTHORIZED: Final = 135
_UNAVAILABLE: Final = 136


def refused(settings: MqttSettings, code: int) -> BrokerUnavailable:
    """Say why the broker did not let us in."""
    if code == _PROTOCOL:
        problem, advice = "it does not speak MQTT 3.1.1", "update the broker"
    elif code == _CLIENT_ID:
        problem, advice = "it refuses our client id", "allow it there, or choose another [gateway] name"
    elif code == _UNAVAILABLE:
        problem, advice = "it is not ready", "nothing to do unless it lasts; nesgw tries again"
    elif code not in (_BAD_LOGIN, NOT_AUTHORIZED):
        problem, advice = "it refuses us with a code that MQTT 3.1.1 does not know", "look into the broker's log"
    elif settings.username:
        problem = f'it refused the login of user "{settings.username}"'
        advice = "check username and password_file under [mqtt]"
    else:
        problem = "it lets nobody in without a login"
        advice = "set username and password_file under [mqtt]"
    return trouble(settings, Stage.LOGIN, problem, advice)
