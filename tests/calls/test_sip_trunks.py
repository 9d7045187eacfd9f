"""Trunks as schools have them: with a password, over TCP, over TLS, with encrypted sound. Each against a real other end."""

import hashlib
import re
import time
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from service.calls.way import End, Kind
from tests.calls import phones
from tests.calls.cable import Cable, Trunkside, leaks
from tests.calls.ears import hertz
from tests.calls.people import HEARD, PARENT, SAID, SCHOOL, TRUNK
from tests.calls.phones import Baresip, Sipp
from tests.calls.stage import Called, seconds, trunk, way

NONCE = "47ebe028cda119c35d4877b383027d28da013815"
CHALLENGE = f'Proxy-Authenticate: Digest realm="trunk", nonce="{NONCE}", algorithm=MD5\n'
ASKS = phones.answer("407 Proxy Authentication Required", more=CHALLENGE) + phones.ACK


async def test_a_trunk_that_asks_for_a_password_gets_a_digest_with_the_next_number(
        side: Trunkside, tmp_path: Path, call: Called) -> None:
    steps = ASKS + '<recv request="INVITE" rrs="true"/>' + phones.ANSWERS
    of = trunk(user="school", password="a:b$c")
    async with Cable(tmp_path / "cable") as cable, Sipp(side, tmp_path / "family", steps) as family, way(of) as opened:
        await call.place(opened)
        await call.diary.until(Kind.ANSWERED)
        await opened.hang_up(call.id)
        assert (await call.diary.until(Kind.ENDED)).end is End.HUNG_UP
        await family.done()
        numbers = [int(each) for each in re.findall(r"^CSeq: (\d+) INVITE\r$", cable.sent, re.M)]
        assert numbers == [numbers[0], numbers[0] + 1]
        assert 'Proxy-Authorization: Digest username="school", realm="trunk"' in cable.sent
        assert _response(cable.sent) == digest("school", "trunk", "a:b$c", NONCE, f"sip:{PARENT}@{TRUNK}")
        assert "a:b$c" not in cable.trace
        assert leaks(cable.trace) == []
        assert re.findall(r"^CSeq: (\d+) BYE\r$", cable.sent, re.M)[0] == str(numbers[1] + 1)


@pytest.mark.parametrize("user", ["school", ""])
async def test_a_trunk_that_does_not_know_us_is_a_fault_and_not_asked_for_ever(
        side: Trunkside, tmp_path: Path, call: Called, user: str) -> None:
    again = '<recv request="INVITE" rrs="true"/>' + ASKS if user else ""
    of = trunk(user=user, password="wrong" if user else "")
    async with Sipp(side, tmp_path / "family", ASKS + again) as family, way(of) as opened:
        await call.place(opened)
        assert (await call.diary.until(Kind.ENDED)).end is End.FAULT
        await family.done()


async def test_over_tcp(side: Trunkside, tmp_path: Path, call: Called) -> None:
    async with Cable(tmp_path / "cable") as cable, Sipp(side, tmp_path / "family", phones.ANSWERS, transport="t1") as family, \
            way(trunk(transport="tcp")) as opened:
        await call.place(opened)
        await call.diary.until(Kind.ANSWERED)
        await cable.until(lambda sip: "ACK sip:" in sip)
        await opened.hang_up(call.id)
        assert (await call.diary.until(Kind.ENDED)).end is End.HUNG_UP
        await family.done()
        assert leaks(cable.trace) == []
        assert "SIP/2.0/TCP" in cable.trace


async def test_over_tls_with_encrypted_sound_the_cable_carries_neither_words_nor_voices(
        side: Trunkside, tmp_path: Path, call: Called) -> None:
    authority, certificate = certified(tmp_path, TRUNK)
    of = trunk(transport="tls", port=5061, sip_port=5061, ca_file=authority, srtp=True)
    phone = Baresip(side, tmp_path / "family", ";mediaenc=srtp-mand", f"module srtp.so\nsip_certificate {certificate}\n")
    async with Cable(tmp_path / "cable") as cable, phone as family, way(of) as opened:
        await call.place(opened)
        await call.accept()
        await opened.connect(call.id)
        connected = time.time()
        await seconds(1.5)
        assert hertz(call.caller.sound[-8000:]) == SAID
        assert hertz(cable.sound(since=connected)) == -1, "noise to whoever listens on the cable"
        await opened.hang_up(call.id)
        assert (await call.diary.until(Kind.ENDED)).end is End.HUNG_UP
        await seconds(0.3)
        assert hertz(family.heard[-6000:]) == HEARD
        assert cable.sip == ""
        assert leaks(cable.trace) == []
        assert SCHOOL not in cable.trace


async def test_a_telephone_that_does_not_encrypt_is_not_heard_and_hears_nothing(
        side: Trunkside, tmp_path: Path, call: Called) -> None:
    authority, certificate = certified(tmp_path, TRUNK)
    of = trunk(transport="tls", port=5061, sip_port=5061, ca_file=authority, srtp=True)
    async with Cable(tmp_path / "cable") as cable, Baresip(side, tmp_path / "family", "", f"sip_certificate {certificate}\n"), \
            way(of) as opened:
        await call.place(opened)
        assert (await call.diary.until(Kind.ENDED)).end in (End.FAULT, End.REFUSED)
        assert not cable.sound()
        assert not call.caller.sound


async def test_a_trunk_with_a_strangers_certificate_is_told_nothing(side: Trunkside, tmp_path: Path, call: Called) -> None:
    (tmp_path / "stranger").mkdir()
    authority, _ = certified(tmp_path, TRUNK)
    _, certificate = certified(tmp_path / "stranger", TRUNK)
    of = trunk(transport="tls", port=5061, sip_port=5061, ca_file=authority)
    async with Baresip(side, tmp_path / "family", "", f"sip_certificate {certificate}\n") as family, way(of) as opened:
        await call.place(opened)
        assert (await call.diary.until(Kind.ENDED)).end in (End.FAULT, End.NO_ANSWER)
        assert "alloc with params" not in (family.folder / "log").read_text()


def _response(sent: str) -> str:
    uri, response = re.findall(r'^Proxy-Authorization: .*uri="([^"]+)".*response="([0-9a-f]+)"', sent, re.M)[0]
    assert uri == f"sip:{PARENT}@{TRUNK}"
    return str(response)


def digest(user: str, realm: str, password: str, nonce: str, uri: str) -> str:
    """RFC 2617 without qop, which is what an old trunk asks for."""
    def md5(words: str) -> str:
        return hashlib.md5(words.encode()).hexdigest()
    return md5(f"{md5(f'{user}:{realm}:{password}')}:{nonce}:{md5(f'INVITE:{uri}')}")


def certified(folder: Path, address: str) -> tuple[Path, Path]:
    """An authority's certificate, and a certificate with its key that it signed for an address."""
    now, paths = datetime.now(UTC), (folder / "authority.pem", folder / "trunk.pem")
    keys = [rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in paths]
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("authority", address)]
    for subject, key, path, is_authority in zip(names, keys, paths, (True, False), strict=True):
        signed = (x509.CertificateBuilder().subject_name(subject).issuer_name(names[0]).public_key(key.public_key())
                  .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
                  .not_valid_after(now + timedelta(days=2))
                  .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
                  .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), critical=False)
                  .sign(keys[0], hashes.SHA256()))
        path.write_bytes(signed.public_bytes(Encoding.PEM) + key.private_bytes(
            Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
    return paths
