"""The configuration file: what it takes, what the rest of nesgw is given of it, and the line that each mistake gets."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from nesgw.config import loader
from nesgw.config.document import Document, Source
from nesgw.config.example import effective, example
from nesgw.config.settings import Address, MeterSettings, Secret, Settings
from nesgw.errors import ConfigError

KEY = "a7941d85bce8a8fa2ab7"
ROOT = Path(__file__).parents[2]
SMALLEST = f'[[meter]]\nname = "house"\nkey = "{KEY}"\n'


def loaded(text: str) -> Settings:
    found = loader.load_document(Document([Source("c.toml", text)]))
    return loader.settings(found.config, found.secrets)


def problems(text: str) -> list[str]:
    try:
        loaded(text)
    except ConfigError as error:
        return error.problems
    return []


def meter(more: str) -> MeterSettings:
    return loaded(SMALLEST + more).meters[0]


def test_the_smallest_file_names_a_meter_and_its_key_and_all_else_has_its_default() -> None:
    assert loaded(SMALLEST) == Settings((MeterSettings("house", key=Secret(KEY), key_form="20 characters"),))


def test_every_option_of_the_file_arrives_in_the_settings() -> None:
    text = f"""
        [gateway]
        name = "cellar"
        log_level = "debug"
        log_format = "json"
        [[meter]]
        name = "house"
        label = "House"
        port = "/dev/ttyUSB0"
        key = "{KEY}"
        poll_interval = "2s"
        session = "keep-open"
        max_session = "200s"
        max_power = "17 kW"
        quiet = "23:50-00:10"
        baud = "negotiate"
        rts = false
        dtr = true
        [cache]
        directory = "/run/else"
        allow_disk = true
        [mqtt]
        host = ["broker", "192.168.1.5"]
        port = 8883
        username = "me"
        password = "hunter22"
        base_topic = "power"
        qos = 2
        retain = false
        per_value_topics = true
        tls.enabled = true
        tls.ca_file = "/etc/nesgw/ca.pem"
        tls.verify_hostname = false
        [homeassistant]
        discovery_prefix = "ha"
        birth_topic = "ha/status"
        language = "da"
        url = "http://homeassistant.local:8123/"
        token_file = "/etc/nesgw/ha.token"
        [http]
        enabled = true
        listen = ["0.0.0.0:8480", "[::]:8480"]
        ecotracker = "house"
        shelly = "house"
        tasmota = "house"
        dabbler = "house"
    """
    found = loaded(text)
    assert _changed(found, Settings(())) == {
        *("gateway.name", "gateway.log_level", "gateway.log_format", "cache.directory", "cache.allow_disk"),
        *("mqtt.host", "mqtt.port", "mqtt.username", "mqtt.password", "mqtt.tls", "mqtt.birth_topic"),
        *("mqtt.other_hosts", "mqtt.base_topic", "mqtt.qos", "mqtt.retain", "mqtt.per_value_topics"),
        *("homeassistant.discovery_prefix", "homeassistant.language", "homeassistant.url"),
        *("homeassistant.token_file", "http.enabled", "http.listen"),
        *("http.ecotracker", "http.shelly", "http.tasmota", "http.dabbler", "meters"),
    }
    assert _changed(found.meters[0], MeterSettings("")) == {
        *("name", "label", "port", "key", "key_form", "poll_interval", "session", "max_session"),
        *("max_power", "quiet", "negotiate_baud", "rts", "dtr"),
    }
    assert found.mqtt.hosts == ("broker", "192.168.1.5")
    assert found.http.listen == (Address("0.0.0.0", 8480), Address("::", 8480))
    assert found.homeassistant.url == "http://homeassistant.local:8123"
    assert found.meters[0].baud == 9600


def _changed(found: object, default: object, prefix: str = "") -> set[str]:
    assert is_dataclass(found)
    changed = set()
    for field in fields(found):
        value, usual = getattr(found, field.name), getattr(default, field.name)
        if is_dataclass(value) and is_dataclass(usual):
            changed |= _changed(value, usual, f"{prefix}{field.name}.")
        elif value != usual:
            changed.add(prefix + field.name)
    return changed


def test_the_example_file_is_the_one_generated_from_the_options() -> None:
    assert (ROOT / "config.example.toml").read_text(encoding="utf-8") == example()


def test_the_example_file_says_the_defaults() -> None:
    default = loader.parse('[[meter]]\nname = "house"\nlabel = "House"\nkey_file = "/etc/nesgw/house.key"\n', "x")
    assert loader.parse(example(), "example") == default


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('[gateway]\nnmae = "x"\n' + SMALLEST, "c.toml:2: gateway.nmae: unknown option; did you mean 'name'?"),
        ("[gatewai]\n" + SMALLEST, "c.toml:1: gatewai: unknown option; did you mean 'gateway'?"),
        (
            SMALLEST + 'poll_intervall = "10s"\n',
            "c.toml:4: meter.house.poll_intervall: unknown option; did you mean 'poll_interval'?",
        ),
        (
            SMALLEST + "[mqtt.tls]\nenabeld = true\n",
            "c.toml:5: mqtt.tls.enabeld: unknown option; did you mean 'enabled'?",
        ),
        (
            SMALLEST + '[mqtt.tls]\nenabled = true\nbase_topic = "power"\n',
            "c.toml:6: mqtt.tls.base_topic: unknown option; it belongs to [mqtt]",
        ),
        (SMALLEST + '[gateway]\nhost = "box"\n', "c.toml:5: gateway.host: unknown option; it belongs to [mqtt]"),
        (SMALLEST + '[mqtt]\nbaud = 9600\n', "c.toml:5: mqtt.baud: unknown option; it belongs to [[meter]]"),
        (
            SMALLEST + '[cache]\nxyzzy = 1\n',
            "c.toml:5: cache.xyzzy: unknown option; known here: directory, allow_disk",
        ),
        (
            SMALLEST + "poll_interval = 10\n",
            'c.toml:4: meter.house.poll_interval: write a number with a unit, like "10s", "5min" or "1h"',
        ),
        (SMALLEST + 'poll_interval = "0.5s"\n', 'c.toml:4: meter.house.poll_interval: must be "1s" to "1h"'),
        (
            SMALLEST + 'max_power = "44"\n',
            'c.toml:4: meter.house.max_power: write a number with a unit, like "44 kW" or "11000 W"',
        ),
        (
            SMALLEST + 'max_power = "17,3 kW"\n',
            'c.toml:4: meter.house.max_power: write the number with a point, not a comma: "17.3 kW"',
        ),
        (
            SMALLEST + 'max_power = "5 W"\n',
            'c.toml:4: meter.house.max_power: must be "auto", or "100 W" to "10000 kW"',
        ),
        (
            SMALLEST + 'max_session = "600s"\n',
            'c.toml:4: meter.house.max_session: must be "10s" to "570s", well below the meter\'s own 600 s',
        ),
        (
            SMALLEST + 'quiet = "2-3"\n',
            'c.toml:4: meter.house.quiet: write two times of the day in local time, like "02:05-02:15"',
        ),
        (
            SMALLEST + 'quiet = "24:00-25:00"\n',
            'c.toml:4: meter.house.quiet: write two times of the day in local time, like "02:05-02:15"',
        ),
        (
            SMALLEST + 'quiet = "02:00-02:00"\n',
            "c.toml:4: meter.house.quiet: begins when it ends; write a later end, or take the option out",
        ),
        (SMALLEST + 'interface = "MEP"\n', "c.toml:4: meter.house.interface: must be one of 'optical', 'mep'"),
        (
            SMALLEST + 'interface = "mep"\nsession = "auto"\n',
            'c.toml:5: meter.house.session: is for the optical port; take it out where interface = "mep"',
        ),
        (
            SMALLEST + 'interface = "mep"\nmax_session = "300s"\n',
            'c.toml:5: meter.house.max_session: is for the optical port; take it out where interface = "mep"',
        ),
        (
            SMALLEST + 'interface = "mep"\ndtr = false\n',
            'c.toml:5: meter.house.dtr: is for the optical port; take it out where interface = "mep"',
        ),
        (
            SMALLEST + 'baud = "negotiate"\ninterface = "mep"\n',
            'c.toml:4: meter.house.baud: no speed is negotiated where interface = "mep"; '
            "write the number that the port is set to",
        ),
        (
            SMALLEST + 'label = "a\\u001b]0;b"\n',
            "c.toml:4: meter.house.label: must be one line of text; character 2 is a control character",
        ),
        (
            SMALLEST + 'label = "two\\nlines"\n',
            "c.toml:4: meter.house.label: must be one line of text; character 4 is a control character",
        ),
        (
            SMALLEST + 'label = "a\\u202eb"\n',
            "c.toml:4: meter.house.label: must be one line of text; character 2 is a control character",
        ),
        (SMALLEST + '[mqtt]\nport = "x"\n', "c.toml:5: mqtt.port: must be a whole number, without quotes"),
        (SMALLEST + "[mqtt]\nport = 99999\n", "c.toml:5: mqtt.port: should be less than or equal to 65535"),
        (SMALLEST + "[mqtt]\nqos = 3\n", "c.toml:5: mqtt.qos: must be one of 0, 1, 2"),
        (SMALLEST + '[mqtt]\nretain = "maybe"\n', "c.toml:5: mqtt.retain: must be true or false, without quotes"),
        (SMALLEST + "label = 7\n", 'c.toml:4: meter.house.label: must be a text in quotes, like "house"'),
        (
            SMALLEST + '[mqtt]\nbase_topic = "a/#"\n',
            "c.toml:5: mqtt.base_topic: must be a topic without spaces, '+', '#', and a '/' or '$' in front",
        ),
        (
            SMALLEST.replace("house", "My House"),
            "c.toml:2: meter.My House.name: must consist of lower-case letters, digits, '_' and '-'; "
            "what people are shown is the label",
        ),
        (
            SMALLEST.replace("[[", "[").replace("]]", "]"),
            "c.toml:1: meter: must be a list of blocks; write [[meter]] with double brackets",
        ),
        (
            SMALLEST + "[mqtt]\ntls = true\n",
            "c.toml:5: mqtt.tls: is a table of options; write [mqtt.tls] on a line of its own, options below",
        ),
        (
            'mqtt = "localhost"\n' + SMALLEST,
            "c.toml:1: mqtt: is a table of options; write [mqtt] on a line of its own, options below",
        ),
        ("", "c.toml: meter: no meter; add a [[meter]] block with name, port and key_file"),
        ("[[meter]]\n", "c.toml:1: meter.1.name: missing; add it"),
        (
            '[[meter]]\nname = "house"\n',
            "c.toml:1: meter.house.key: the meter has no key; put it into a file and name that: "
            'key_file = "/etc/nesgw/house.key"',
        ),
        (
            SMALLEST + 'key_file = "/nonexistent/k"\n',
            "c.toml:4: meter.house.key_file: given twice: keep either the file or the value",
        ),
        (
            SMALLEST + SMALLEST.replace("house", "barn"),
            'c.toml:4: meter.barn.port: "auto" cannot serve several meters; '
            "give each probe's own name from /dev/serial/by-id/",
        ),
        (
            SMALLEST + 'port = "/dev/a"\n' + SMALLEST + 'port = "/dev/b"\n',
            "c.toml:6: meter.house.name: used by 2 meters; give each its own",
        ),
        (
            SMALLEST + 'port = "/dev/a"\n' + SMALLEST.replace("house", "barn") + 'port = "/dev/a"\n',
            'c.toml:8: meter.barn.port: "/dev/a" is set for several meters; '
            "give each probe's own name from /dev/serial/by-id/",
        ),
        (
            SMALLEST + '[mqtt.tls]\nenabled = true\ncert_file = "/c"\n',
            "c.toml:4: mqtt.tls.key_file: a client certificate needs both cert_file and key_file",
        ),
        (
            SMALLEST + '[mqtt.tls]\nca_file = "/c"\n',
            "c.toml:4: mqtt.tls.enabled: certificates are set, but TLS is off; set enabled = true",
        ),
        (
            SMALLEST + '[mqtt]\npassword = "secret"\n',
            "c.toml:4: mqtt.username: a password is set without a user name; set both",
        ),
        (
            SMALLEST + '[http]\nshelly = "barn"\n',
            'c.toml:5: http.shelly: no meter is named "barn"; there is house',
        ),
        (
            SMALLEST + '[homeassistant]\nurl = "homeassistant.local:8123"\n',
            'c.toml:5: homeassistant.url: must be an address without a path, like "http://homeassistant.local:8123"',
        ),
        (
            SMALLEST + '[http]\nshelly = "house"\n',
            "c.toml:4: http.enabled: shelly is set, but the service is off; set enabled = true",
        ),
        (
            SMALLEST + '[mqtt.tls]\nport = 8883\n',
            "c.toml:5: mqtt.tls.port: unknown option; it belongs to [mqtt]",
        ),
        (
            SMALLEST + '[cache]\ndirectory = "run/nesgw"\n',
            "c.toml:5: cache.directory: must be a whole path, with a slash in front",
        ),
        (
            '[[meter]]\nname = "house"\nkey_file = "house.key"\n',
            "c.toml:3: meter.house.key_file: must be a whole path, with a slash in front",
        ),
        (
            '[[meter]]\nname = "house"\nkey_file = "~/house.key"\n',
            "c.toml:3: meter.house.key_file: must be a whole path, with a slash in front",
        ),
        (
            SMALLEST + f'[mqtt]\nusername = "{"x" * 70000}"\n',
            "c.toml:5: mqtt.username: must be at most 1000 characters; it has 70000",
        ),
        (
            SMALLEST + '[mqtt]\nbase_topic = "a\\u0001b"\n',
            "c.toml:5: mqtt.base_topic: must be one line of text; character 2 is a control character",
        ),
        (
            SMALLEST + 'port = "socket://box"\n',
            "c.toml:4: meter.house.port: the port is missing; write socket://box:PORT",
        ),
        (
            SMALLEST + '[homeassistant]\nlanguage = "dk"\n',
            "c.toml:5: homeassistant.language: must be one of 'en', 'da', 'de'",
        ),
        (
            SMALLEST + "[mqtt]\nport = true\n",
            "c.toml:5: mqtt.port: must be a whole number, without quotes",
        ),
        (
            SMALLEST + "[mqtt]\nqos = true\n",
            "c.toml:5: mqtt.qos: must be a whole number, without quotes",
        ),
        (
            'meter = ["house"]\n',
            "c.toml:1: meter.1: is no block of options; write [[meter]] on a line of its own, options below",
        ),
        (
            f'[[meter]]\nname = "{"x" * 5000}"\nkey = "{KEY}"\n',
            "c.toml:2: meter.1.name: string should have at most 40 characters",
        ),
    ],
)  # fmt: skip
def test_a_mistake_gets_one_line_with_file_option_what_is_wrong_and_what_is_right(text: str, line: str) -> None:
    assert problems(text) == [line]


@pytest.mark.parametrize(
    ("host", "advice"),
    [
        ("", 'must name the broker, like "localhost"; without a broker: [mqtt] enabled = false'),
        ("mqtt://broker", "the port goes to 'port', and TLS is [mqtt.tls] enabled = true"),
        ("192.168.1.5:1883", "write the host name alone; the port goes to 'port'"),
        ("broker:", "write the host name alone; the port goes to 'port'"),
        (" localhost ", "must be a host name without blanks and line ends; several hosts are a list"),
        ("localhost\\n", "must be a host name without blanks and line ends; several hosts are a list"),
        ("a.lan b.lan", "must be a host name without blanks and line ends; several hosts are a list"),
        ("user@broker", "write the host name alone; the user goes to 'username'"),
        ("broker/path", "write the host name alone, without a path"),
        ("[::1]", "write an IPv6 address without brackets; the port goes to 'port'"),
        ("[::1]:1883", "write an IPv6 address without brackets; the port goes to 'port'"),
        ("a.lan,b.lan", 'must be a host name or an address, like "localhost" or "192.168.1.5"'),
        ("a..b", 'must be a host name or an address, like "localhost" or "192.168.1.5"'),
        ("192.168.1.256", 'must be a host name or an address, like "localhost" or "192.168.1.5"'),
        ("1883", 'must be a host name or an address, like "localhost" or "192.168.1.5"'),
        ("-broker", 'must be a host name or an address, like "localhost" or "192.168.1.5"'),
        ("a" * 64, 'must be a host name or an address, like "localhost" or "192.168.1.5"'),
        ("ab.c" * 100, 'must be a host name or an address, like "localhost" or "192.168.1.5"'),
        ("a:b:c", 'must be a host name or an address, like "localhost" or "192.168.1.5"'),
    ],
)
def test_a_host_that_is_more_than_a_host_is_refused_at_once(host: str, advice: str) -> None:
    for value in (f'"{host}"', f'["localhost", "{host}"]'):
        (line,) = problems(SMALLEST + f"[mqtt]\nhost = {value}\n")
        assert line.startswith("c.toml:5: mqtt.host: ")
        assert line.endswith(advice)


@pytest.mark.parametrize("value", ["[]", "7", '["a", 7]', "true"])
def test_hosts_are_texts(value: str) -> None:
    assert problems(SMALLEST + f"[mqtt]\nhost = {value}\n") == [
        'c.toml:5: mqtt.host: must be a text in quotes, like "localhost", or a list of such'
    ]


def test_a_host_is_named_once() -> None:
    assert problems(SMALLEST + '[mqtt]\nhost = ["a", "a"]\n') == ["c.toml:5: mqtt.host: names one of them twice"]


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "broker.lan",
        "broker.lan.",
        "my_broker",
        "192.168.1.5",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "målehus.local",
        "core-mosquitto",
        "a1",
    ],
)
def test_names_and_addresses_are_hosts(host: str) -> None:
    assert loaded(SMALLEST + f'[mqtt]\nhost = "{host}"\n').mqtt.hosts == (host,)


@pytest.mark.parametrize(
    "listen",
    ["8480", "localhost:8480", ":8480", "0.0.0.0", "::8480", "[127.0.0.1]:80", "1.2.3:80", "http://0.0.0.0:80"],
)
def test_an_address_to_listen_at_has_an_ip_address_and_a_port(listen: str) -> None:
    (line,) = problems(SMALLEST + f'[http]\nlisten = "{listen}"\n')
    assert line == (
        'c.toml:5: http.listen: write an address and a port: "127.0.0.1:8480", '
        '"0.0.0.0:8480" for the LAN, "[::]:8480" for IPv6'
    )


def test_a_port_to_listen_at_is_one_of_65535() -> None:
    (line,) = problems(SMALLEST + '[http]\nlisten = "127.0.0.1:65536"\n')
    assert line == "c.toml:5: http.listen: the port must be 1 to 65535"


def test_several_mistakes_get_a_line_each_in_the_order_of_the_file() -> None:
    text = '[gateway]\nnmae = "x"\n[[meter]]\nname = "house"\nbaud = 1\n[mqtt]\nport = 0\n'
    assert [line.split(": ")[0:2] for line in problems(text)] == [
        ["c.toml:2", "gateway.nmae"],
        ["c.toml:5", "meter.house.baud"],
        ["c.toml:7", "mqtt.port"],
    ]


def test_max_power_is_auto_unless_it_is_set() -> None:
    assert meter("").max_power is None
    assert meter('max_power = "auto"\n').max_power is None
    assert meter('max_power = "17.3 kW"\n').max_power == 17_300.0


def test_auto_allows_44_kw_times_the_transformers_and_a_set_power_allows_itself() -> None:
    assert meter("").power_limit() == 44_000.0
    assert meter("").power_limit(40.0) == 1_760_000.0
    assert meter('max_power = "17 kW"\n').power_limit(40.0) == 17_000.0


def test_no_message_and_no_print_shows_a_secret() -> None:
    text = SMALLEST + 'baud = 1\n[mqtt]\nusername = "me"\npassword = "hunter22"\nport = "x"\n'
    assert KEY not in "".join(problems(text))
    assert "hunter22" not in "".join(problems(text))
    good = text.replace("baud = 1\n", "").replace('port = "x"\n', "")
    config = loader.parse(good, "c.toml")
    for shown in (effective(config), repr(config), str(config), repr(loaded(good)), str(loaded(good))):
        assert KEY not in shown
        assert "hunter22" not in shown
    assert effective(config).count('"********"') == 2


@pytest.mark.parametrize(
    "more",
    [
        'poll_interval = "1h"\nmax_power = "11 kW"\nquiet = "02:05-02:15"\nlabel = "\\"Hus\\" \\\\ 1 æøå"\n',
        'interface = "mep"\nbaud = 19200\n',
        '[mqtt]\nhost = ["a", "b"]\n[http]\nlisten = ["127.0.0.1:80", "[::1]:80"]\n',
    ],
)
def test_the_effective_configuration_is_a_configuration(more: str) -> None:
    config = loader.parse(SMALLEST + more, "c.toml")
    again = loader.parse(effective(config), "effective")
    assert loader.settings(again) == loader.settings(config)
