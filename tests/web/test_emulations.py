"""Each emulated meter answers as its clients were seen to demand it: values from the reference documents."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nesgw.web.emulations.identity import hardware_address
from nesgw.web.emulations.shelly import datagram_answer
from nesgw.web.emulations.values import phases
from nesgw.web.response import encode
from nesgw.web.site import Emulations
from tests.web.house import DEAD, HOUSE, SINGLE, STALE, STATE, TOTALS, UNKNOWN, Visitor, of

# One path of each with a value that its client would use.
PATHS = (
    "/v1/json",
    "/rpc/EM.GetStatus",
    "/rpc/EMData.GetStatus",
    "/rpc/Shelly.GetStatus",
    "/cm?cmnd=Status 8",
    "/getDashDataWS",
)
FRAME = b'{"id":1,"method":"EM.GetStatus","params":{"id":0}}'


# What holds for all


@pytest.mark.parametrize("path", PATHS)
def test_a_stale_reading_is_never_a_200_and_the_sentence_is_never_json(path: str) -> None:
    response = Visitor((STALE,)).get(path)
    assert (response.status, response.content_type) == (503, "text/plain; charset=utf-8")
    assert response.body.decode() == f"{DEAD}\n"


@pytest.mark.parametrize("path", [*PATHS, "/shelly"])
def test_before_the_first_reading_there_is_no_answer(path: str) -> None:
    assert Visitor((UNKNOWN,)).get(path).status == 503


@pytest.mark.parametrize("path", [*PATHS, "/shelly", "/rpc"])
def test_what_is_not_switched_on_is_not_there(path: str) -> None:
    assert Visitor(emulations=Emulations()).get(path).status == 404


@given(missing=st.sets(st.sampled_from([key for key in STATE if key != "time"])))
def test_no_number_is_ever_null(missing: set[str]) -> None:
    visitor = of(dict(STATE) | dict.fromkeys(missing))
    for path in PATHS:
        response = visitor.get(path)
        assert response.status in (200, 503)
        if response.status == 200:
            allowed = response.body.count(b'"n_current":null') + response.body.count(b'"ip":null')
            allowed += sum(response.body.count(key) for key in (b'"sta_ip":null', b'"ssid":null'))
            assert response.body.count(b"null") == allowed


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_nothing_can_be_written(method: str) -> None:
    for path in ("/v1/json", "/cm?cmnd=Status 8", "/getDashDataWS", "/shelly"):
        assert Visitor().get(path, method).status == 405


# EcoTracker


def test_an_ecotracker_tells_watts_with_a_sign_and_watt_hours() -> None:
    visitor = Visitor()
    visitor.site.beat()
    assert visitor.json("/v1/json") == {
        "power": 896,
        "powerAvg": 896,
        "agePower": 1,
        "powerPhase1": 121,
        "powerPhase2": -40,
        "powerPhase3": 815,
        "energyCounterIn": 21334181,
        "energyCounterInT1": 13227192,
        "energyCounterInT2": 8106989,
        "energyCounterOut": 9007583,
    }


def test_its_head_is_three_lines_and_nothing_else() -> None:
    head, _, body = encode(Visitor().get("/v1/json")).partition(b"\r\n\r\n")
    assert head.decode().split("\r\n") == [
        "HTTP/1.1 200 OK",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]


def test_its_average_is_that_of_the_last_minute() -> None:
    visitor = Visitor()
    for second, power in ((0, 3000), (5, 100), (61, 200), (62, 300)):
        time = f"2026-11-27T21:{second // 60:02d}:{second % 60:02d}Z"
        visitor.daemon.now = (replace(HOUSE, state={**STATE, "time": time, "power": power}, read_at=float(second)),)
        visitor.site.beat()
    assert visitor.json("/v1/json")["powerAvg"] == 200  # of 100, 200 and 300


def test_a_meter_without_powers_of_phases_has_none() -> None:
    assert not [key for key in of(TOTALS).json("/v1/json") if "Phase" in key]
    assert list(of(TOTALS).json("/cm?cmnd=Status 8")["StatusSNS"]["SML"]) == [
        "Total_in",
        "Total_out",
        "Power_curr",
    ]
    assert of(TOTALS).get("/rpc/EM.GetStatus").status == 503
    assert of(TOTALS).get("/getDashDataWS").status == 404


def test_a_meter_of_one_phase_has_nothing_on_the_others() -> None:
    answer = of(SINGLE).json("/v1/json")
    assert [answer[f"powerPhase{phase}"] for phase in (1, 2, 3)] == [121, 0, 0]
    older = {key: value for key, value in SINGLE.items() if not key.startswith("power_l") and key[-3:] != "_l1"}
    older |= {"current_l1": 0.736, "voltage_l1": 230.84}
    answer = of(older).json("/v1/json")
    assert [answer[f"powerPhase{phase}"] for phase in (1, 2, 3)] == [121, 0, 0]


# Shelly


def test_a_shelly_is_who_it_is_on_every_path() -> None:
    info = Visitor().json("/shelly")
    assert info == Visitor().json("/rpc/Shelly.GetDeviceInfo")
    assert info["id"] == f"shellypro3em-{info['mac'].lower()}"
    assert (info["model"], info["gen"], info["app"], info["auth_en"]) == ("SPEM-003CEBEU", 2, "Pro3EM", False)
    assert int(info["fw_id"][:8]) >= 20240213


def test_its_address_is_stable_local_and_tells_nothing_of_the_meter() -> None:
    address = hardware_address("4080123458", b"a machine")
    assert address == hardware_address("4080123458", b"a machine")
    assert len({address, hardware_address("4080123459", b"a machine"), hardware_address("4080123458", b"b")}) == 3
    assert int(address[:2], 16) & 0b11 == 0b10  # locally administered, of one device
    assert len(bytes.fromhex(address)) == 6


def test_its_status_has_every_phase_with_decimal_points() -> None:
    response = Visitor().get("/rpc/EM.GetStatus")
    status = json.loads(response.body, parse_int=lambda digits: f"int {digits}")
    assert status == {
        "id": "int 0",
        "a_act_power": 121.0,
        "b_act_power": -40.0,
        "c_act_power": 815.0,
        "total_act_power": 896.0,
        "a_current": 0.736,
        "a_voltage": 230.84,
        "a_aprt_power": 169.9,  # 230.84 V × 0.736 A
        "a_pf": 0.71,
        "a_freq": 50.01,
        "b_current": 0.4,
        "b_voltage": 231.0,
        "b_aprt_power": 92.4,
        "b_pf": 0.43,
        "b_freq": 50.01,
        "c_current": 3.69,
        "c_voltage": 229.5,
        "c_aprt_power": 846.86,
        "c_pf": 0.96,
        "c_freq": 50.01,
        "n_current": None,
        "total_current": 4.826,
        "total_aprt_power": 1109.16,
        "user_calibrated_phase": [],
    }


def test_its_counters_are_watt_hours() -> None:
    assert Visitor().json("/rpc/EMData.GetStatus") == {"id": 0, "total_act": 21334181.0, "total_act_ret": 9007583.0}


def test_evcc_posts_a_frame_to_a_method_and_wants_the_bare_result() -> None:
    frame = b'{"id":0,"src":"evcc","method":"EM.GetStatus"}'
    assert Visitor().json("/rpc/EM.GetStatus", "POST", frame)["total_act_power"] == 896.0
    methods = Visitor().json("/rpc/Shelly.ListMethods", "POST", b"{}")["methods"]
    assert "EM.GetStatus" in methods
    assert not [name for name in methods if name.startswith(("EM1", "Script", "PM1", "Switch")) or "Set" in name]
    for name in methods:
        Visitor().json(f"/rpc/{name}")


def test_a_frame_is_answered_by_a_frame() -> None:
    answer = Visitor().json("/rpc", "POST", b'{"id":7,"src":"me","method":"EM.GetStatus"}')
    assert (answer["id"], answer["dst"], answer["result"]["id"]) == (7, "me", 0)
    assert Visitor().json("/rpc", "POST", b'{"id":7,"method":"EM.Reset"}')["error"]["code"] == 404


@pytest.mark.parametrize(
    "method", ["Shelly.Reboot", "Sys.SetConfig", "EMData.ResetCounters", "EM1.GetStatus", "x" * 999]
)
def test_it_cannot_be_made_to_do_anything(method: str) -> None:
    response = Visitor().get(f"/rpc/{method}", "POST")
    assert response.status == 404
    assert json.loads(response.body) == {"code": 404, "message": f"No handler for {method[:64]}"}


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b"nonsense", b'{"method":1}', b'{"method":"EM.GetStatus","result":{}}', b"[" * 900]
)
def test_what_is_no_frame_is_refused(body: bytes) -> None:
    assert Visitor().get("/rpc", "POST", body).status == 400


def datagram(visitor: Visitor, data: bytes = FRAME) -> Any:
    answer = datagram_answer(visitor.site.shelly(), data)
    return answer and json.loads(answer)


def test_a_battery_that_asks_by_datagram_gets_the_whole_status_in_one() -> None:
    answer = datagram_answer(Visitor().site.shelly(), FRAME)
    assert answer is not None
    assert 250 <= len(answer) <= 600
    assert b" " not in answer
    content = json.loads(answer)
    assert (content["id"], content["dst"], content["result"]["total_act_power"]) == (1, "unknown", 896.0)


def test_where_only_powers_were_read_it_gets_those() -> None:
    answer = datagram(of({**STATE, "voltage_l2": None}))
    assert answer["result"] == {
        "id": 0,
        "a_act_power": 121.0,
        "b_act_power": -40.0,
        "c_act_power": 815.0,
        "total_act_power": 896.0,
    }


@pytest.mark.parametrize("visitor", [Visitor((STALE,)), of(TOTALS), of({**STATE, "power_l2": None})])
def test_it_gets_silence_rather_than_a_lie(visitor: Visitor) -> None:
    assert datagram(visitor) is None


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b'{"id":1,"method":"EM1.GetStatus"}', b'{"id":1,"method":"EM.GetStatus","result":{}}', b"\xff", b"["],
)
def test_other_datagrams_get_none_either(data: bytes) -> None:
    assert datagram(Visitor(), data) is None


@given(st.binary(max_size=512))
@example(b'{"":0,"method":"EM.GetStatus","":{"":0}}')
def test_no_datagram_does_harm(data: bytes) -> None:
    """One that happens to be a question is answered as one."""
    answer = datagram(Visitor(), data)
    assert answer is None or "total_act_power" in answer["result"]


# Tasmota


@pytest.mark.parametrize("command", ["Status 8", "Status 10", "status 8", "STATUS10"])
def test_a_tasmota_tells_kilowatt_hours_and_watts(command: str) -> None:
    sensor = Visitor().json(f"/cm?cmnd={command}")["StatusSNS"]["SML"]
    assert sensor == {
        "Total_in": 21334.181,
        "Total_out": 9007.583,
        "Power_curr": 896,
        "power_l1": 121,
        "voltage_l1": 230.84,
        "current_l1": 0.736,
        "power_l2": -40,
        "voltage_l2": 231.0,
        "current_l2": 0.4,
        "power_l3": 815,
        "voltage_l3": 229.5,
        "current_l3": 3.69,
    }


@pytest.mark.parametrize("command", ["Power Toggle", "Status 0", "Restart 1", ""])
def test_it_obeys_no_other_command(command: str) -> None:
    assert Visitor().get(f"/cm?cmnd={command}").status == 404


# Dabbler


def test_a_dabbler_module_tells_integers() -> None:
    visitor = of({**STATE, "power_import_average": 812})
    assert visitor.get("/getDashDataWS").close
    content = visitor.json("/getDashDataWS")
    assert {key: value for key, value in content.items() if isinstance(value, int)} == {
        "Fwd_Act_Wh": 21334181, "Rev_Act_Wh": 9007583, "Fwd_W": 896, "Rev_W": 0, "Freq_mHz": 50010,
        "L1_Fwd_W": 121, "L1_Rev_W": 0, "L2_Fwd_W": 0, "L2_Rev_W": 40, "L3_Fwd_W": 815, "L3_Rev_W": 0,
        "L1_RMS_A": 736, "L2_RMS_A": 400, "L3_RMS_A": 3690,
        "L1_RMS_V": 230840, "L2_RMS_V": 231000, "L3_RMS_V": 229500,
        "Fwd_Avg_W": 812,
    }  # fmt: skip
    assert content["Utility_SN"] == "4080123458"
    assert content["Meter_SW_Version"] == "3.84"
    assert content["CurrentDateTime"] == "2026-11-27T22:31:05.000Z"
    assert content["CurrentDateTimeString"] == "2026-11-27 (Friday) @ 22:31:05"


def test_its_powers_agree_within_three_watts() -> None:
    """Its reader sticks where |(Fwd_W − Rev_W) − Σ phases| is more."""
    content = Visitor().json("/getDashDataWS")
    single = sum(content[f"L{phase}_Fwd_W"] - content[f"L{phase}_Rev_W"] for phase in (1, 2, 3))
    assert abs(content["Fwd_W"] - content["Rev_W"] - single) <= 3


def test_phases_are_zero_only_where_the_meter_has_none() -> None:
    assert phases({"power": 5, "power_l1": None, "power_l2": 3, "power_l3": 2}) is not None
    assert phases({"power": 5}) is None
