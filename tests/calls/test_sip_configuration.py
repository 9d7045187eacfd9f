"""What is written for Janus and kamailio, and what is refused before anything is written."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from service.calls.number import Number
from service.calls.sip.edge import Door, configuration
from service.calls.sip.processes import janus_configuration
from service.calls.sip.trunk import Trunk, TrunkInvalid, faults_of, trunk_of
from service.calls.sip.way import way_of
from service.foundation.settings import Settings
from tests.calls.people import SCHOOL
from tests.calls.stage import trunk

REAL = {"trunk_host": "sip.trunk.example", "trunk_number": SCHOOL, "trunk_address": "192.0.2.1"}


def door(folder: Path) -> Door:
    return Door(folder, 15060, 15061)


@pytest.mark.parametrize("of", [
    trunk(), trunk(transport="tcp"), trunk(user="school", password='a"b\\'), trunk(office="sip:office@pbx.example:5080"),
    trunk(public_address="198.51.100.7"), trunk(asserted=True),
], ids=["plain", "tcp", "password", "office", "nat", "asserted"])
def test_nothing_is_left_to_fill_in_and_no_secret_is_written(tmp_path: Path, of: Trunk) -> None:
    text = configuration(of, door(tmp_path))
    assert "{{" not in text
    assert 'a"b' not in text
    assert (tmp_path / "kamailio.cfg").stat().st_mode & 0o077 == 0
    assert "WITHOUT_STRIPPING\n" not in text.split("debug=")[0]


def test_two_starts_share_no_secret(tmp_path: Path) -> None:
    ours, theirs = door(tmp_path), door(tmp_path)
    assert ours.token != theirs.token
    assert ours.token not in repr(ours)
    masks = {re.search(r'mask_key", "(\w+)"', configuration(trunk(), ours))[1] for _ in range(2)}  # type: ignore[index]
    assert len(masks) == 2


def test_janus_listens_to_us_alone_and_has_no_secret_that_anybody_knows(tmp_path: Path) -> None:
    janus_configuration(trunk(), tmp_path, 18188, "today")
    texts = {path.name: path.read_text() for path in tmp_path.glob("*.jcfg")}
    everything = "\n".join(texts.values())
    assert "janusoverlord" not in everything
    assert 'api_secret = "today"' in texts["janus.jcfg"]
    assert re.search(r'admin_secret = "[\w-]{32}"', texts["janus.jcfg"])
    assert 'ws_ip = "127.0.0.1"' in texts["janus.transport.websockets.jcfg"]
    assert "admin_ws = false" in texts["janus.transport.websockets.jcfg"]
    assert "debug_level = 0" in texts["janus.jcfg"], "its log would have numbers"
    assert re.findall(r'ip = "([\d.]+)"', texts["janus.plugin.sip.jcfg"]) == ["127.0.0.1"] * 3
    assert "libjanus_http.so" in texts["janus.jcfg"]
    assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.glob("*.jcfg"))


def test_the_edges_door_for_us_is_on_loopback(tmp_path: Path) -> None:
    text = configuration(trunk(sip_port=5070), door(tmp_path))
    assert re.findall(r"^listen=(\S+)", text, re.M) == ["udp:127.0.0.1:15060", "udp:192.0.2.1:5070"]
    assert "server_signature=no" in text


@pytest.mark.parametrize(("wrong", "words"), [
    ({"host": 'x"; route'}, "HOST"), ({"port": 0}, "PORT"), ({"transport": "sctp"}, "TRANSPORT"), ({"user": 'a"'}, "USER"),
    ({"user": "school"}, "password file"), ({"password": "x"}, "password file"), ({"number": Number("01632960001")}, "NUMBER"),
    ({"office": "office"}, "OFFICE"), ({"ca_file": Path("/nowhere")}, "CA_FILE"), ({"srtp": True}, "SRTP needs"),
    ({"address": "school.example"}, "ADDRESS"), ({"address": "0.0.0.0"}, "ADDRESS"), ({"public_address": "x"}, "PUBLIC_ADDRESS"),
    ({"sip_port": 70000}, "SIP_PORT"), ({"sound_ports": (10, 5)}, "SOUND_PORTS"), ({"browser_ports": (0, 0)}, "BROWSER_PORTS"),
    ({"browser_ports": (42100, 42300)}, "overlap"),
])
def test_what_cannot_be_right_is_said_in_words(wrong: dict[str, Any], words: str) -> None:
    assert faults_of(trunk()) == []
    assert any(words in fault for fault in faults_of(replace(trunk(), **wrong)))


def test_every_fault_is_said_at_once_and_no_number() -> None:
    with pytest.raises(TrunkInvalid) as refused:
        trunk_of(Settings(**REAL | {"trunk_number": "01632 960001", "trunk_port": 0, "trunk_password_file": Path("/nowhere")}))
    assert all(word in refused.value.message for word in ("NUMBER", "PORT", "PASSWORD_FILE"))
    assert "01632" not in refused.value.message


def test_a_school_without_a_trunk_has_no_way_and_one_with_it_has(tmp_path: Path) -> None:
    assert way_of(Settings()) is None
    (tmp_path / "password").write_text("secret\n")
    way = way_of(Settings(**REAL | {"trunk_user": "school", "trunk_password_file": tmp_path / "password",
                                    "media_addresses": "192.0.2.5, 192.0.2.6"}))
    assert way is not None
    assert way.trunk.password == "secret"
    assert way.trunk.browser_address == "192.0.2.5"
    assert "secret" not in repr(way.trunk)
    assert SCHOOL not in repr(way.trunk)


async def test_a_way_that_was_not_opened_says_so() -> None:
    way = way_of(Settings(**REAL))
    assert way is not None
    assert await way.faults() == ("The telephone gateway has not been started.",)
    await way.close()
