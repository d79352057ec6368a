"""A Shelly Pro 3EM as far as it is read: its RPC methods over HTTP, and ``EM.GetStatus`` over UDP.

Every answer is fixed but for the meter's numbers. Nothing can be set, restarted or reset: unknown methods are refused
as the real one does. No ``EM1``, which evcc would prefer and lose the phases; no ``Script``, by which Home Assistant
would take us for a Bluetooth scanner.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from nesgw.web.emulations.values import Phase, State, needed, phases, whole
from nesgw.web.request import Refused, Request
from nesgw.web.response import JSON, Response, json_response, json_text

FIRMWARE: Final = "20250924-062729/1.7.1-gd336f31"  # the date decides which methods Home Assistant calls
LONGEST_METHOD: Final = 64
Result = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Shelly:
    """One meter in the clothes of a Pro 3EM. ``state`` raises Refused while there is no fresh reading."""

    mac: str  # twelve hex digits
    state: Callable[[], State]
    now: Callable[[], datetime]
    uptime: Callable[[], float]

    @property
    def id(self) -> str:
        """The name by which clients know it."""
        return f"shellypro3em-{self.mac.lower()}"

    @property
    def methods(self) -> Mapping[str, Callable[[], Result]]:
        """Everything that is answered."""
        return {
            "EM.GetConfig": self._em_config,
            "EM.GetStatus": self.em_status,
            "EMData.GetStatus": self._em_data,
            "Cloud.GetConfig": lambda: {"enable": False, "server": None},
            "Shelly.GetComponents": lambda: {"components": [], "cfg_rev": 1, "offset": 0, "total": 0},
            "Shelly.GetConfig": self._config,
            "Shelly.GetDeviceInfo": self.device_info,
            "Shelly.GetStatus": self._status,
            "Shelly.ListMethods": lambda: {"methods": list(self.methods)},
            "Sys.GetConfig": self._sys_config,
            "Sys.GetStatus": self._sys_status,
            "WiFi.GetConfig": lambda: {"ap": {"enable": False}, "sta": {"enable": False}},
            "WiFi.GetStatus": self._wifi,
        }

    # The meter's numbers

    def em_status(self) -> Result:
        """Power, current and voltage of each phase. Raises Refused where one is missing: evcc would take it for 0."""
        state = self.state()
        content = self._powers(state)
        for letter, phase in zip("abc", _phases(state), strict=True):
            if not phase.complete:
                raise Refused(503, "this reading lacks values of a phase")
            content |= _details(letter, phase, needed(state, "frequency"))
        currents = [float(value) for key, value in content.items() if key.endswith("_current")]
        apparent = [float(value) for key, value in content.items() if key.endswith("_aprt_power")]
        return {
            "id": 0,
            **content,
            "n_current": None,
            "total_current": round(sum(currents), 3),
            "total_aprt_power": round(sum(apparent), 2),
            "user_calibrated_phase": [],
        }

    def powers(self) -> Result:
        """Only the four powers: all that a battery on UDP needs, where a reading lacks the rest."""
        return {"id": 0, **self._powers(self.state())}

    @staticmethod
    def _powers(state: State) -> dict[str, float]:
        content: dict[str, float] = {}
        for letter, phase in zip("abc", _phases(state), strict=True):
            if phase.power is None:
                raise Refused(503, "this reading lacks the power of a phase")
            content[f"{letter}_act_power"] = float(phase.power)
        return {**content, "total_act_power": float(needed(state, "power"))}

    def _em_data(self) -> Result:
        state = self.state()
        counters = {"total_act": "energy_import", "total_act_ret": "energy_export"}
        return {"id": 0, **{key: float(whole(needed(state, field), 1000)) for key, field in counters.items()}}

    # Who it is, and how it is set

    def device_info(self) -> Result:
        """What ``GET /shelly`` says, too."""
        return {
            "name": None,
            "id": self.id,
            "mac": self.mac.upper(),
            "slot": 0,
            "model": "SPEM-003CEBEU",
            "gen": 2,
            "fw_id": FIRMWARE,
            "ver": "1.7.1",
            "app": "Pro3EM",
            "auth_en": False,
            "auth_domain": None,
            "profile": "triphase",
        }

    @staticmethod
    def _em_config() -> Result:
        return {
            "id": 0,
            "name": None,
            "blink_mode_selector": "active_energy",
            "phase_selector": "all",
            "monitor_phase_sequence": False,
            "reverse": {},
            "ct_type": "120A",
        }

    def _sys_config(self) -> Result:
        device = {"name": None, "mac": self.mac.upper(), "fw_id": FIRMWARE, "profile": "triphase"}
        return {
            "device": {**device, "discoverable": True, "eco_mode": False},
            "location": {"tz": None, "lat": None, "lon": None},
            "debug": {},
            "ui_data": {},
            "rpc_udp": {"dst_addr": None, "listen_port": 2220},
            "sntp": {"server": None},
            "cfg_rev": 1,
        }

    def _config(self) -> Result:
        nowhere = {"enable": False, "server": None}
        return {
            "cloud": nowhere,
            "em:0": self._em_config(),
            "emdata:0": {},
            "sys": self._sys_config(),
            "ws": nowhere,
        }

    def _sys_status(self) -> Result:
        now = self.now()
        zeros = dict.fromkeys(("ram_size", "ram_free", "fs_size", "fs_free"), 0)
        return {
            "mac": self.mac.upper(),
            "restart_required": False,
            "time": f"{now:%H:%M}",
            "unixtime": int(now.timestamp()),
            "uptime": int(self.uptime()),
            **zeros,
            "cfg_rev": 1,
            "kvs_rev": 0,
            "schedule_rev": 0,
            "webhook_rev": 0,
            "available_updates": {},
        }

    @staticmethod
    def _wifi() -> Result:
        return {"sta_ip": None, "status": "disconnected", "ssid": None, "rssi": 0}

    def _status(self) -> Result:
        return {
            "ble": {},
            "cloud": {"connected": False},
            "em:0": self.em_status(),
            "emdata:0": self._em_data(),
            "eth": {"ip": None},
            "mqtt": {"connected": False},
            "sys": self._sys_status(),
            "wifi": self._wifi(),
            "ws": {"connected": False},
        }


def _phases(state: State) -> tuple[Phase, Phase, Phase]:
    measured = phases(state)
    if measured is None:
        raise Refused(503, "this meter does not measure the power of single phases, which a Shelly Pro 3EM does")
    return measured


def _details(letter: str, phase: Phase, frequency: float) -> dict[str, float]:
    voltage, current, power = (float(value or 0) for value in (phase.voltage, phase.current, phase.power))
    apparent = voltage * current
    factor = abs(phase.power_factor) if phase.power_factor is not None else abs(power) / apparent if apparent else 0.0
    return {
        f"{letter}_current": current,
        f"{letter}_voltage": voltage,
        f"{letter}_aprt_power": round(apparent, 2),
        f"{letter}_pf": round(min(1.0, float(factor)), 2),
        f"{letter}_freq": float(frequency),
    }


# Over HTTP


def answer(shelly: Shelly, request: Request) -> Response:
    """Answer ``/shelly``, ``/rpc/METHOD`` with the bare result, or a frame on ``/rpc``. Raises Refused."""
    if request.path == "/shelly":
        return json_response(shelly.device_info())
    method = request.path.removeprefix("/rpc").strip("/")
    if method:
        return _bare(shelly, method)
    frame = _frame(request.body)
    if request.method != "POST" or frame is None:
        raise Refused(400, "POST a frame with a method, or GET /rpc/METHOD")
    return _in_frame(shelly, frame)


def _bare(shelly: Shelly, method: str) -> Response:
    if (known := shelly.methods.get(method)) is not None:
        return json_response(known())
    return Response(404, json_text(_no_handler(method)).encode(), JSON)


def _in_frame(shelly: Shelly, frame: Result) -> Response:
    method = str(frame["method"])[:LONGEST_METHOD]
    head = {"id": frame.get("id", 0), "src": shelly.id, "dst": _sender(frame)}
    known = shelly.methods.get(method)
    return json_response(head | ({"error": _no_handler(method)} if known is None else {"result": known()}))


def _no_handler(method: str) -> Result:
    return {"code": 404, "message": f"No handler for {method[:LONGEST_METHOD]}"}


def _frame(body: bytes) -> Result | None:
    """A request frame, if that is what it is; the answer of another one never is."""
    try:
        frame = json.loads(body)
    except (ValueError, RecursionError):
        return None
    asks = isinstance(frame, dict) and isinstance(frame.get("method"), str) and "result" not in frame
    plain = asks and isinstance(frame.get("id", 0), (int, str, type(None)))
    return frame if plain else None


def _sender(frame: Result) -> str:
    source = frame.get("src")
    return source[:LONGEST_METHOD] if isinstance(source, str) else "unknown"


# Over UDP


def datagram_answer(shelly: Shelly, datagram: bytes) -> bytes | None:
    """Answer what a Marstek battery sends by broadcast; silence where there is no fresh reading, or another question.

    The battery falls back by itself.
    """
    frame = _frame(datagram)
    if frame is None or frame["method"] != "EM.GetStatus":
        return None
    try:
        result = shelly.em_status()
    except Refused:
        try:
            result = shelly.powers()
        except Refused:
            return None
    return json_text({"id": frame.get("id", 0), "src": shelly.id, "dst": _sender(frame), "result": result}).encode()
