"""The configuration file: what it takes, and the one line that each mistake gets."""

from pathlib import Path

import pytest

from nesgw.config import schema as config
from nesgw.errors import ConfigError

KEY = "a7941d85bce8a8fa2ab7"
ROOT = Path(__file__).parents[2]
SMALLEST = f'[[meter]]\nname = "house"\nkey = "{KEY}"\n'


def problems(text):
    try:
        config.read_secrets(config.parse(text, "c.toml"), "c.toml")
    except ConfigError as error:
        return error.problems
    return []


def test_the_smallest_file_names_a_meter_and_its_key():
    loaded = config.parse(SMALLEST, "c.toml")
    assert (loaded.gateway.name, loaded.cache.directory, loaded.mqtt.host) == ("nesgw", "/run/nesgw", "localhost")
    (meter,) = loaded.meter
    assert (meter.port, meter.baud, meter.rts, meter.dtr) == ("auto", 9600, True, False)
    assert (meter.poll_interval, meter.session, meter.max_session, meter.max_power) == (10.0, "auto", 300.0, 44000.0)
    assert config.read_secrets(loaded, "c.toml").keys["house"].value == KEY.encode()


def test_the_example_file_is_the_one_generated_from_the_options():
    assert (ROOT / "config.example.toml").read_text(encoding="utf-8") == config.example()


def test_the_example_file_says_the_defaults():
    example = config.parse(config.example(), "example")
    default = config.parse('[[meter]]\nname = "house"\nlabel = "House"\nkey_file = "/etc/nesgw/house.key"\n', "x")
    assert example == default


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('[gateway]\nnmae = "x"\n' + SMALLEST, "c.toml:2: gateway.nmae: unknown key; did you mean 'name'?"),
        ('[gatewai]\n' + SMALLEST, "c.toml:1: gatewai: unknown key; did you mean 'gateway'?"),
        (
            SMALLEST + 'poll_intervall = "10s"\n',
            "c.toml:4: meter.house.poll_intervall: unknown key; did you mean 'poll_interval'?",
        ),
        (SMALLEST + "[mqtt.tls]\nenabeld = true\n", "c.toml:5: mqtt.tls.enabeld: unknown key; did you mean 'enabled'?"),
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
            SMALLEST + 'max_session = "600s"\n',
            'c.toml:4: meter.house.max_session: must be "10s" to "570s", well below the meter\'s own 600 s',
        ),
        (
            SMALLEST + '[mqtt]\nhost = "mqtt://broker"\n',
            "c.toml:5: mqtt.host: write the host name alone; the port goes to 'port', "
            "and TLS is [mqtt.tls] enabled = true",
        ),
        (SMALLEST + '[mqtt]\nhost = ""\n', "c.toml:5: mqtt.host: must name the broker, like \"localhost\"; "
         "without a broker: [mqtt] enabled = false"),
        (SMALLEST + '[mqtt]\nport = "x"\n', "c.toml:5: mqtt.port: must be a whole number, without quotes"),
        (SMALLEST + '[mqtt]\nqos = 3\n', "c.toml:5: mqtt.qos: must be one of 0, 1, 2"),
        (SMALLEST + '[mqtt]\nretain = "maybe"\n', "c.toml:5: mqtt.retain: must be true or false, without quotes"),
        (
            SMALLEST + '[mqtt]\nbase_topic = "a/#"\n',
            "c.toml:5: mqtt.base_topic: must be a topic without spaces, '+', '#', and a '/' or '$' in front",
        ),
        (
            SMALLEST.replace("house", "My House"),
            "c.toml:2: meter.My House.name: must consist of lower-case letters, digits, '_' and '-'",
        ),
        (SMALLEST.replace("[[", "[").replace("]]", "]"),
         "c.toml:1: meter: must be a list of blocks; write [[meter]] with double brackets"),
        ("", "c.toml: meter: no meter; add a [[meter]] block with name, port and key_file"),
        ("[[meter]]\n", "c.toml:1: meter.1.name: missing; add it"),
        ("[gateway\n", "c.toml: not valid TOML: Expected ']' at the end of a table declaration (at line 1, column 9)"),
        (
            '[[meter]]\nname = "house"\n',
            "c.toml: meter.house.key: the meter has no key; put it into a file and name that: "
            'key_file = "/etc/nesgw/house.key"',
        ),
        (
            SMALLEST + 'key_file = "/nonexistent/k"\n',
            "c.toml: meter.house.key_file: given twice: keep either the file or the value",
        ),
        (
            '[[meter]]\nname = "house"\nkey_file = "/nonexistent/k"\n',
            "c.toml: meter.house.key_file: /nonexistent/k does not exist; write the secret into it, "
            "then: chmod 0640 /nonexistent/k",
        ),
        (SMALLEST + SMALLEST.replace("house", "barn"), 'c.toml: meter.port: "auto" cannot serve several meters; '
         "give each probe's own name from /dev/serial/by-id/"),
        (SMALLEST + "[mqtt.tls]\nenabled = true\ncert_file = \"c\"\n",
         "c.toml: mqtt.tls.key_file: a client certificate needs both cert_file and key_file"),
        (SMALLEST + "[mqtt.tls]\nca_file = \"c\"\n",
         "c.toml: mqtt.tls.enabled: certificates are set, but TLS is off; set enabled = true"),
        (SMALLEST + '[mqtt]\npassword = "secret"\n',
         "c.toml: mqtt.username: a password is set without a user name; set both"),
    ],
)  # fmt: skip
def test_a_mistake_gets_one_line_with_file_key_what_is_wrong_and_what_is_right(text, line):
    assert problems(text) == [line]


def test_several_mistakes_get_a_line_each_in_the_order_of_the_file():
    text = '[gateway]\nnmae = "x"\n[[meter]]\nname = "house"\nbaud = 1\n[mqtt]\nport = 0\n'
    assert [line.split(": ")[0:2] for line in problems(text)] == [
        ["c.toml:2", "gateway.nmae"],
        ["c.toml:5", "meter.house.baud"],
        ["c.toml:7", "mqtt.port"],
    ]


def test_two_meters_of_one_name_are_told_apart_by_nobody():
    text = SMALLEST + 'port = "/dev/a"\n' + SMALLEST + 'port = "/dev/b"\n'
    assert problems(text) == ["c.toml: meter.house.name: used by 2 meters; give each its own"]


def test_no_message_and_no_print_shows_a_secret():
    text = SMALLEST + 'baud = 1\n[mqtt]\nusername = "me"\npassword = "hunter22"\nport = "x"\n'
    assert KEY not in "".join(problems(text))
    assert "hunter22" not in "".join(problems(text))
    loaded = config.parse(text.replace("baud = 1\n", "").replace('port = "x"\n', ""), "c.toml")
    for shown in (config.effective(loaded), repr(loaded), str(loaded), repr(config.read_secrets(loaded, "c.toml"))):
        assert KEY not in shown
        assert "hunter22" not in shown
    assert config.effective(loaded).count('"********"') == 2


def test_the_effective_configuration_is_a_configuration():
    loaded = config.parse(SMALLEST + 'poll_interval = "1h"\nmax_power = "11 kW"\n', "c.toml")
    again = config.parse(config.effective(loaded), "effective")
    assert again.meter[0].model_dump(exclude={"key"}) == loaded.meter[0].model_dump(exclude={"key"})


class TestSecretFiles:
    def test_a_key_file_is_read(self, tmp_path):
        path = tmp_path / "house.key"
        path.write_text(KEY + "\n")
        path.chmod(0o640)
        loaded = config.parse(f'[[meter]]\nname = "house"\nkey_file = "{path}"\n', "c.toml")
        assert config.read_secrets(loaded, "c.toml").keys["house"].value == KEY.encode()

    def test_a_key_file_that_others_can_read_is_refused_with_the_command_to_run(self, tmp_path):
        path = tmp_path / "house.key"
        path.write_text(KEY)
        path.chmod(0o644)
        assert problems(f'[[meter]]\nname = "house"\nkey_file = "{path}"\n') == [
            f"c.toml: meter.house.key_file: {path} can be read by everyone on this machine; run: chmod o-rwx {path}"
        ]

    def test_a_folder_is_no_key_file(self, tmp_path):
        assert problems(f'[[meter]]\nname = "house"\nkey_file = "{tmp_path}"\n') == [
            f"c.toml: meter.house.key_file: {tmp_path} is a folder; name the file in it"
        ]

    def test_a_file_that_is_no_key_says_what_a_key_is_but_not_what_it_found(self, tmp_path):
        path = tmp_path / "house.key"
        path.write_text("hunter22")
        path.chmod(0o600)
        (line,) = problems(f'[[meter]]\nname = "house"\nkey_file = "{path}"\n')
        assert "not a key: 8 characters in 1 group; expected 20 characters" in line
        assert "hunter22" not in line

    def test_systemd_credentials_stand_in_for_files(self, tmp_path, monkeypatch):
        (tmp_path / "house.key").write_text(KEY)
        (tmp_path / "mqtt-password").write_text("hunter22\n")
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
        loaded = config.parse('[[meter]]\nname = "house"\n[mqtt]\nusername = "me"\n', "c.toml")
        secrets = config.read_secrets(loaded, "c.toml")
        assert secrets.keys["house"].value == KEY.encode()
        assert secrets.mqtt_password == "hunter22"

    def test_a_missing_configuration_says_where_to_start(self):
        with pytest.raises(ConfigError) as caught:
            config.load(Path("/nonexistent/config.toml"))
        assert caught.value.problems == [
            "/nonexistent/config.toml: no such file; start from config.example.toml, or name another with --config"
        ]
