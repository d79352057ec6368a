"""What a fleet is given to run beside nesgw: the parts fit each other, and the rig reads them as they stand."""

from __future__ import annotations

import tomllib

import pytest
import yaml

from benchmarks import store
from nesgw.config.schema import HomeAssistantSection, HttpSection, MqttSection


def test_the_agent_keeps_its_log_in_ram_and_reads_the_configuration_that_is_given() -> None:
    options = store.arguments(store.FLEET / "prometheus.default", {})
    assert "--enable-feature=agent" in options
    assert "--storage.agent.path=/dev/shm/nesgw-agent" in options
    assert "--config.file=/etc/prometheus/prometheus.yml" in options


def test_the_agent_scrapes_the_page_of_the_gateway_and_writes_to_the_store() -> None:
    agent = yaml.safe_load((store.FLEET / "prometheus.yml").read_text(encoding="utf-8"))
    gateway = tomllib.loads((store.FLEET / "gateway.toml").read_text(encoding="utf-8"))
    assert agent["scrape_configs"][0]["static_configs"][0]["targets"] == [gateway["http"]["listen"]]
    assert agent["remote_write"][0]["url"].startswith(store.STORE)
    assert agent["global"]["scrape_interval"] == f"{store.SCRAPE:g}s"
    assert "-httpListenAddr=127.0.0.1:8428" in store.arguments(store.FLEET / "victoria-metrics.default", {})


def test_the_shared_part_of_the_configuration_is_a_good_one() -> None:
    gateway = tomllib.loads((store.FLEET / "gateway.toml").read_text(encoding="utf-8"))
    MqttSection.model_validate(gateway["mqtt"])
    HttpSection.model_validate(gateway["http"])
    HomeAssistantSection.model_validate(gateway["homeassistant"])


def test_a_folder_that_is_not_there_cannot_be_put_elsewhere() -> None:
    with pytest.raises(ValueError, match="does not name /nowhere"):
        store.arguments(store.FLEET / "prometheus.default", {"/nowhere": "/tmp"})
