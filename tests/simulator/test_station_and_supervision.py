"""Stations against supervisions over real sockets: sessions, calls both ways, and how links end."""

import ssl

import pytest
import trio
import trustme
from pointsman_simulator.errors import LinkClosed, NoAnswer, UnknownStation
from pointsman_simulator.frames import Call, CallResult, write_frame
from pointsman_simulator.memory import StationMemory
from pointsman_simulator.schemas import PROTOCOLS
from pointsman_simulator.station import (
    connect_station,
    no_answer,
    report_security_event,
    run_boot,
    run_session,
    stay,
)
from pointsman_simulator.supervision import open_supervision


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_session_completes_and_both_sides_saw_the_same_texts(protocol: str) -> None:
    async with (
        open_supervision() as supervision,
        connect_station(f"{supervision.url}/LYO-01", protocols=[protocol]) as station,
    ):
        result = await run_session(station, badge="04AA")

        assert result.completed, result.reason
        assert (result.protocol, result.boot_status, result.authorization_status) == (protocol, "Accepted", "Accepted")
        assert supervision.received.texts == list(result.sent)
        assert supervision.sent.texts == list(result.received)
        assert (supervision.faults, result.faults) == ([], ())


async def test_a_session_over_tls_completes() -> None:
    authority = trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)

    async with open_supervision(ssl_context=server) as supervision:
        assert supervision.url.startswith("wss://127.0.0.1:")
        async with connect_station(f"{supervision.url}/LYO-01", ssl_context=client) as station:
            result = await run_session(station)

    assert result.completed, result.reason


async def test_a_rejected_badge_does_not_charge() -> None:
    async with (
        open_supervision(rejected_badges=["04aa"]) as supervision,
        connect_station(f"{supervision.url}/LYO-01") as station,
    ):
        result = await run_session(station, badge="04AA")

    assert not result.completed
    assert result.reason == "Authorize: Invalid"
    assert "StartTransaction" not in supervision.received.actions


async def test_the_supervision_chooses_the_protocol_by_its_own_preference() -> None:
    async with (
        open_supervision(protocols=["ocpp2.0.1", "ocpp1.6"]) as supervision,
        connect_station(f"{supervision.url}/LYO-01", protocols=["ocpp1.6", "ocpp2.0.1"]) as station,
    ):
        connection = await supervision.wait_connected("LYO-01")

        assert station.protocol == "ocpp2.0.1"
        assert connection.offered == ("ocpp1.6", "ocpp2.0.1")


async def test_an_identity_with_reserved_characters_is_decoded_once() -> None:
    async with (
        open_supervision() as supervision,
        connect_station(f"{supervision.url}/RDAM%7C%20123") as station,
    ):
        connection = await supervision.wait_connected("RDAM| 123")

        assert station.identity == "RDAM| 123"
        assert connection.path == "/ocpp/RDAM%7C%20123"


async def test_the_supervision_reads_and_sets_keys_of_a_1_6_station() -> None:
    async with (
        open_supervision() as supervision,
        connect_station(f"{supervision.url}/LYO-01") as station,
    ):
        await supervision.wait_connected("LYO-01")
        wanted = {"key": "HeartbeatInterval", "value": "60"}
        changed = await supervision.call("LYO-01", "ChangeConfiguration", wanted)
        read = await supervision.call("LYO-01", "GetConfiguration", {"key": ["HeartbeatInterval", "Nope"]})

    assert changed.payload == {"status": "Accepted"}
    assert read.payload["configurationKey"] == [{"key": "HeartbeatInterval", "readonly": False, "value": "60"}]
    assert read.payload["unknownKey"] == ["Nope"]
    assert read.faults == ()
    assert station.memory.keys["HeartbeatInterval"] == "60"


async def test_the_supervision_reads_and_sets_variables_of_a_2_0_1_station() -> None:
    about = {"component": {"name": "TxCtrlr"}, "variable": {"name": "EVConnectionTimeOut"}}
    async with (
        open_supervision() as supervision,
        connect_station(f"{supervision.url}/LYO-01", protocols=["ocpp2.0.1"]),
    ):
        await supervision.wait_connected("LYO-01")
        wanted = {"setVariableData": [about | {"attributeValue": "45"}]}
        changed = await supervision.call("LYO-01", "SetVariables", wanted)
        read = await supervision.call("LYO-01", "GetVariables", {"getVariableData": [about]})

    assert changed.payload["setVariableResult"] == [about | {"attributeStatus": "Accepted"}]
    assert read.payload["getVariableResult"] == [about | {"attributeStatus": "Accepted", "attributeValue": "45"}]
    assert (changed.faults, read.faults) == ((), ())


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_trigger_message_is_answered_first_and_then_obeyed(protocol: str) -> None:
    async with (
        open_supervision() as supervision,
        connect_station(f"{supervision.url}/LYO-01", protocols=[protocol]) as station,
    ):
        await supervision.wait_connected("LYO-01")

        answer = await supervision.call("LYO-01", "TriggerMessage", {"requestedMessage": "BootNotification"})
        await supervision.wait_for(lambda entry: entry.action == "BootNotification")

        assert answer.payload == {"status": "Accepted"}
        assert station.sent[0].text == answer.text


async def test_a_remote_start_charges_and_a_remote_stop_ends_it() -> None:
    async with (
        open_supervision() as supervision,
        connect_station(f"{supervision.url}/LYO-01") as station,
    ):
        station.profile = station.profile.__class__(meter_interval_s=30.0)
        await supervision.wait_connected("LYO-01")

        started = await supervision.call("LYO-01", "RemoteStartTransaction", {"idTag": "04BB"})
        await supervision.wait_for(lambda entry: '"Charging"' in entry.text)
        again = await supervision.call("LYO-01", "RemoteStartTransaction", {"idTag": "04CC"})
        stopped = await supervision.call("LYO-01", "RemoteStopTransaction", {"transactionId": 1001})
        stop = await supervision.wait_for(lambda entry: entry.action == "StopTransaction")

        assert [answer.payload["status"] for answer in (started, again, stopped)] == [
            "Accepted",
            "Rejected",
            "Accepted",
        ]
        assert '"04BB"' in stop.text


async def test_a_local_list_keeps_its_version_and_its_limits() -> None:
    memory = StationMemory()
    full = {"listVersion": 5, "updateType": "Full"}
    entry = {"idTag": "04AA", "idTagInfo": {"status": "Accepted"}}
    async with (
        open_supervision() as supervision,
        connect_station(f"{supervision.url}/LYO-01", memory=memory),
    ):
        await supervision.wait_connected("LYO-01")
        stored = await supervision.call("LYO-01", "SendLocalList", full | {"localAuthorizationList": [entry]})
        older = await supervision.call("LYO-01", "SendLocalList", {"listVersion": 5, "updateType": "Differential"})
        large = await supervision.call("LYO-01", "SendLocalList", full | {"localAuthorizationList": [entry] * 26})
        version = await supervision.call("LYO-01", "GetLocalListVersion", {})

    assert [answer.payload["status"] for answer in (stored, older, large)] == ["Accepted", "VersionMismatch", "Failed"]
    assert version.payload == {"listVersion": 5}
    assert memory.local_list == {"04aa": {"status": "Accepted"}}


async def test_a_security_event_is_reported_outside_a_session() -> None:
    async with (
        open_supervision() as supervision,
        connect_station(f"{supervision.url}/LYO-01", protocols=["ocpp2.0.1"]) as station,
    ):
        booted = await run_boot(station)
        outcome = await report_security_event(station)

    assert booted.completed
    assert outcome.failure is None
    assert supervision.received.actions[-1] == "SecurityEventNotification"


async def test_a_handler_given_answers_in_place_of_the_memory() -> None:
    async def refuse(call: Call) -> CallResult:
        return CallResult(call.id, {"status": "Rejected"})

    async with (
        open_supervision() as supervision,
        connect_station(f"{supervision.url}/LYO-01", handler=refuse),
    ):
        await supervision.wait_connected("LYO-01")
        answer = await supervision.call("LYO-01", "Reset", {"type": "Soft"})

    assert answer.payload == {"status": "Rejected"}


async def test_a_call_that_the_station_leaves_open_ends_by_its_bound() -> None:
    async with (
        open_supervision() as supervision,
        connect_station(f"{supervision.url}/LYO-01", handler=no_answer) as station,
    ):
        await supervision.wait_connected("LYO-01")
        with pytest.raises(NoAnswer):
            await supervision.call("LYO-01", "Reset", {"type": "Soft"}, within_s=0.05)

        assert await station.receive_text() == supervision.sent[0].text


async def test_texts_pass_verbatim_whatever_they_are() -> None:
    odd = '[2, "ü\\u00e9", "Vendor.Thing",{"a":1.10,"a":1e3,  "b":"\\/"}]'
    async with (
        open_supervision() as supervision,
        connect_station(f"{supervision.url}/LYO-01") as station,
    ):
        answer = await station.call_text(odd, "üé", "Vendor.Thing")
        await station.send_text("no frame at all")
        await supervision.wait_for(lambda entry: entry.text == "no frame at all")

    assert supervision.received.texts[0] == odd
    assert answer.error is not None
    assert answer.error.code == "NotImplemented"
    assert any("no JSON" in fault for fault in supervision.faults)


async def test_a_result_that_nobody_asked_for_is_there_to_be_read() -> None:
    async with (
        open_supervision() as supervision,
        connect_station(f"{supervision.url}/LYO-01") as station,
    ):
        await supervision.wait_connected("LYO-01")
        stray = write_frame(CallResult("nobody", {}))
        await supervision.send_text("LYO-01", stray)

        assert await station.receive_text() == stray


async def test_a_close_of_the_supervision_reaches_the_station_with_code_and_reason() -> None:
    async with (
        open_supervision() as supervision,
        connect_station(f"{supervision.url}/LYO-01") as station,
    ):
        await supervision.wait_connected("LYO-01")
        await supervision.close_station("LYO-01", 1012, "moving")
        closed = await station.wait_closed()

        assert (closed.code, closed.reason) == (1012, "moving")
        with pytest.raises(LinkClosed) as caught:
            await station.call("Heartbeat", {})
        assert caught.value.code == 1012


async def test_a_close_of_the_station_reaches_the_supervision() -> None:
    async with open_supervision() as supervision:
        async with connect_station(f"{supervision.url}/LYO-01") as station:
            connection = await supervision.wait_connected("LYO-01")
            await station.close(4001, "power cut")
            closed = await connection.wait_closed()

        assert (closed.code, closed.reason) == (4001, "power cut")
        with pytest.raises(UnknownStation):
            await supervision.call("LYO-01", "ClearCache", {})


async def test_a_dropped_connection_is_1006_on_the_other_side() -> None:
    async with (
        open_supervision() as supervision,
        connect_station(f"{supervision.url}/LYO-01") as station,
    ):
        await supervision.wait_connected("LYO-01")
        await supervision.drop_station("LYO-01")

        assert (await station.wait_closed()).code == 1006


async def test_a_link_that_ends_in_a_session_is_its_reason() -> None:
    async with (
        open_supervision() as supervision,
        connect_station(f"{supervision.url}/LYO-01") as station,
        trio.open_nursery() as nursery,
    ):

        async def cut() -> None:
            await supervision.wait_for(lambda entry: '"Charging"' in entry.text)
            await supervision.close_station("LYO-01", 1001, "going away")

        nursery.start_soon(cut)
        result = await run_session(station, profile=station.profile.__class__(meter_interval_s=30.0))

    assert not result.completed
    assert result.reason == "the link is closed: 1001 going away"
    assert result.boot_status == "Accepted"


async def test_the_newest_connection_of_an_identity_is_the_one_that_counts() -> None:
    async with (
        open_supervision() as supervision,
        connect_station(f"{supervision.url}/LYO-01") as first,
    ):
        old = await supervision.wait_connected("LYO-01")
        async with connect_station(f"{supervision.url}/LYO-01") as second:
            await second.call("Heartbeat", {})
            new = supervision.connection("LYO-01")
            await first.close()
            await old.wait_closed()

            assert new is not old
            assert supervision.connection("LYO-01") is new


async def test_heartbeats_keep_coming_until_the_link_ends() -> None:
    async with (
        open_supervision() as supervision,
        connect_station(f"{supervision.url}/LYO-01") as station,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(stay, station, 0.01)
        await supervision.wait_for(lambda _: len(supervision.received) >= 3)
        await supervision.close_station("LYO-01")

    assert set(supervision.received.actions) == {"Heartbeat"}


async def test_a_ping_is_answered() -> None:
    async with (
        open_supervision() as supervision,
        connect_station(f"{supervision.url}/LYO-01") as station,
    ):
        connection = await supervision.wait_connected("LYO-01")

        await station.ping()
        await connection.ping()
