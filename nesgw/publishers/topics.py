"""The names of all topics and ids of ours: the only place that joins them. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

ONLINE = "online"
OFFLINE = "offline"


def slug(text: str) -> str:
    """Write the text as Home Assistant writes it in an entity id: ``[a-z0-9_]`` only."""
    return re.sub("[^a-z0-9]+", "_", text.lower()).strip("_")


def meter_device(meter_id: str) -> str:
    """Give the identifier of a meter's device in Home Assistant, and the start of its unique ids."""
    return f"nesgw_{meter_id}"


def gateway_device(gateway: str) -> str:
    """Give the identifier of a gateway's device in Home Assistant, and the start of its unique ids."""
    return f"nesgw_gateway_{gateway}"


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one gateway and of the meters that it reads."""

    base: str
    gateway: str
    discovery_prefix: str = "homeassistant"

    @property
    def gateway_availability(self) -> str:
        """``online``, or the last will."""
        return f"{self.base}/gateway/{self.gateway}/availability"

    @property
    def gateway_status(self) -> str:
        """Version, start, meters."""
        return f"{self.base}/gateway/{self.gateway}/status"

    @property
    def gateway_discovery(self) -> str:
        """The gateway as a device of Home Assistant."""
        return self._discovery(gateway_device(self.gateway))

    def info(self, meter_id: str) -> str:
        """Name the topic that says who the meter is."""
        return f"{self.base}/{meter_id}/info"

    def availability(self, meter_id: str) -> str:
        """Name the topic that says whether its readings are fresh."""
        return f"{self.base}/{meter_id}/availability"

    def state(self, meter_id: str) -> str:
        """Name the topic of the state object."""
        return f"{self.base}/{meter_id}/state"

    def status(self, meter_id: str) -> str:
        """Name the topic that says how reading it goes."""
        return f"{self.base}/{meter_id}/status"

    def demand(self, meter_id: str) -> str:
        """Name the topic of the average power of each interval, and of the month's highest."""
        return f"{self.base}/{meter_id}/demand"

    def event(self, meter_id: str) -> str:
        """One message for each new entry of its logs."""
        return f"{self.base}/{meter_id}/event"

    def value(self, meter_id: str, field: str) -> str:
        """Name the topic of one field's plain number."""
        return f"{self.base}/{meter_id}/value/{field}"

    def discovery(self, meter_id: str) -> str:
        """Name the topic that makes the meter a device of Home Assistant."""
        return self._discovery(meter_device(meter_id))

    def alarms_discovery(self, meter_id: str) -> str:
        """Name the topic that gives the meter's device its alarms: brokers limit the size of a message."""
        return self._discovery(f"{meter_device(meter_id)}_alarms")

    def of_meter(self, meter_id: str) -> tuple[str, ...]:
        """List everything retained of a meter, in the order in which to remove it; the last is a filter with ``+``."""
        return (
            self.discovery(meter_id),
            self.alarms_discovery(meter_id),
            self.availability(meter_id),
            self.state(meter_id),
            self.demand(meter_id),
            self.status(meter_id),
            self.info(meter_id),
            self.value(meter_id, "+"),
        )

    def of_gateway(self) -> tuple[str, ...]:
        """List everything retained of this gateway itself, in the order in which to remove it."""
        return (self.gateway_discovery, self.gateway_availability, self.gateway_status)

    def of_gateways(self) -> tuple[str, ...]:
        """Give filters for what all gateways of this base topic say of themselves."""
        return (f"{self.base}/gateway/+/availability", f"{self.base}/gateway/+/status")

    def of_everything(self) -> tuple[str, ...]:
        """Give filters that meet every retained topic that a nesgw with this base topic and prefix can have left.

        ``meter_of`` and ``gateway_of`` tell whose a topic is; what is neither's is another program's.
        """
        return (self._discovery("+"), f"{self.base}/gateway/+/+", f"{self.base}/+/+", f"{self.base}/+/value/+")

    def meter_of(self, topic: str) -> str | None:
        """Give the id of the meter that a topic of ours belongs to."""
        base, prefix = re.escape(self.base), re.escape(self.discovery_prefix)
        own = f"{base}/([a-z0-9]{{1,64}})/(?:info|availability|state|demand|status|value/[a-z0-9_]{{1,64}})"
        # A gateway may be named "alarms".
        device = f"{prefix}/device/nesgw_(?!gateway_)([a-z0-9]{{1,64}})(?:_alarms)?/config"
        found = re.fullmatch(f"{own}|{device}", topic)
        return found and (found[1] or found[2])

    def gateway_of(self, topic: str) -> str | None:
        """Give the name of the gateway that a topic of ours belongs to."""
        base, prefix = re.escape(self.base), re.escape(self.discovery_prefix)
        own = f"{base}/gateway/([a-z0-9_-]{{1,64}})/(?:availability|status)"
        device = f"{prefix}/device/nesgw_gateway_([a-z0-9_-]{{1,64}})/config"
        found = re.fullmatch(f"{own}|{device}", topic)
        return found and (found[1] or found[2])

    def _discovery(self, device: str) -> str:
        return f"{self.discovery_prefix}/device/{device}/config"
