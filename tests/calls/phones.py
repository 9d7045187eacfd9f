"""The family's end, with real telephones: baresip, which speaks and listens, and sipp, which does as it is told."""

import asyncio
import subprocess
from array import array
from pathlib import Path

from tests.calls.cable import Trunkside
from tests.calls.ears import encoded, tone, wav
from tests.calls.people import PARENT, SAID, TRUNK

CONFIGURATION = """
poll_method epoll
sip_listen {address}:{port}
net_interface {address}
call_max_calls 40
audio_source aufile,{folder}/said.wav
audio_srate 8000
audio_channels 1
rtp_ports 46000-46999
module_path /usr/lib/baresip/modules
module stdio.so
module g711.so
module aufile.so
module sndfile.so
snd_path {folder}
module_tmp uuid.so
module_tmp account.so
module_app menu.so
{more}
ring_aufile none
"""


class Baresip:
    """A family's telephone. `heard` is what came out of it, once the call has ended."""

    def __init__(self, side: Trunkside, folder: Path, account: str = "", more: str = "", *, number: str = PARENT,
                 address: str = TRUNK, says: float = SAID, codecs: str = "PCMA,PCMU") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.side, self.folder, self.address = side, folder, address
        wav(folder / "said.wav", says, 120)
        (folder / "config").write_text(CONFIGURATION.format(address=address, port=5060, folder=folder, more=more))
        (folder / "accounts").write_text(
            f"<sip:{number}@{address}>;regint=0;answermode=auto;audio_codecs={codecs}{account}\n")
        (folder / "contacts").write_text("")

    async def __aenter__(self) -> "Baresip":
        self.log = (self.folder / "log").open("wb")
        self.process = await asyncio.create_subprocess_exec(
            *self.side.inside(["baresip", "-f", str(self.folder), "-v"]), stdin=subprocess.PIPE, stdout=self.log, stderr=self.log)
        await self.side.listening(5060, address=self.address)
        return self

    async def __aexit__(self, *ended: object) -> None:
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()
        self.log.close()

    def press(self, key: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(key.encode())

    @property
    def heard(self) -> "array[int]":
        path, = self.folder.glob("dump-*-dec.wav")
        data = path.read_bytes()[44:]
        return array("h", data[:len(data) // 2 * 2])


# -- sipp ---------------------------------------------------------------------------------------------------------------------

_HEAD = '<?xml version="1.0" encoding="UTF-8"?><!DOCTYPE scenario SYSTEM "sipp.dtd"><scenario name="a family">'
_INVITED = ('<recv request="INVITE" rrs="true" crlf="true"><action><ereg regexp=".*" search_in="hdr" header="From:" '
            'assign_to="school"/></action></recv><Reference variables="school"/>')
_LOOSE = "{more}Contact: <sip:" + PARENT + "@[local_ip]:[local_port];transport=[transport]>"
_SDP = """Content-Type: application/sdp
Content-Length: [len]

v=0
o={origin} 1 1 IN IP4 [local_ip]
s={subject}
c=IN IP4 [local_ip]
t=0 0
m=audio [rtpstream_audio_port] RTP/AVP {codec} 101
a=rtpmap:{codec} {name}/8000
a=rtpmap:101 telephone-event/8000
{line}"""


def answer(status: str, *, sdp: bool = False, more: str = "", origin: str = "-", subject: str = "-", line: str = "a=sendrecv",
           codec: int = 8) -> str:
    """A response; `more` headers, each with its line's end."""
    body = _SDP.format(origin=origin, subject=subject, line=line, codec=codec, name={8: "PCMA", 0: "PCMU"}[codec])
    return _send(f"""SIP/2.0 {status}
[last_Via:]
[last_From:]
[last_To:];tag=[pid]sipp[call_number]
[last_Call-ID:]
[last_CSeq:]
[last_Record-Route:]
{_LOOSE.format(more=more)}
{body if sdp else "Content-Length: 0"}
""")


def _send(text: str, more: str = "") -> str:
    return f"<send{more}><![CDATA[\n{text}\n]]></send>"


OK = _send("""SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Content-Length: 0
""")
RINGING = answer("180 Ringing")
ACK = '<recv request="ACK" rrs="true"/>'
BYE = '<recv request="BYE"/>' + OK
ANSWERS = RINGING + answer("200 OK", sdp=True) + ACK + BYE
BUSY = answer("486 Busy Here") + ACK
DECLINES = RINGING + answer("603 Decline") + ACK
SILENT = RINGING + '<recv request="CANCEL"/>' + OK + _send("""SIP/2.0 487 Request Terminated
[last_Via:]
[last_From:]
[last_To:];tag=[pid]sipp[call_number]
[last_Call-ID:]
CSeq: [cseq] INVITE
Content-Length: 0
""") + ACK


def stream(folder: Path, hertz: float) -> str:
    """Play a tone from here on."""
    path = folder / "tone.alaw"
    path.write_bytes(encoded(tone(hertz, 8000)) * 30)
    return f'<nop><action><exec rtp_stream="{path},-1,8"/></action></nop>'


def request(method: str, *, sdp: bool = False, line: str = "a=sendrecv", headers: str = "") -> str:
    """A request within the call, from the family's end."""
    body = _SDP.format(origin="-", subject="-", line=line, codec=8, name="PCMA")
    return _send(f"""{method} [next_url] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:{PARENT}@[local_ip]>;tag=[pid]sipp[call_number]
To: [$school]
[last_Call-ID:]
CSeq: [cseq] {method}
[routes]
Max-Forwards: 70
{_LOOSE.format(more=headers)}
{body if sdp else "Content-Length: 0"}
""", ' retrans="500"')


def dialling(whom: str) -> str:
    """A family rings: an INVITE of its own."""
    body = _SDP.format(origin="-", subject="-", line="a=sendrecv", codec=8, name="PCMA")
    return _send(f"""INVITE sip:{whom}@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:{PARENT}@[local_ip]>;tag=[pid]sipp[call_number]
To: <sip:{whom}@[remote_ip]>
Call-ID: [call_id]
CSeq: 1 INVITE
Max-Forwards: 70
Contact: <sip:{PARENT}@[local_ip]:[local_port]>
{body}
""", ' retrans="500"')


def expects(status: str) -> str:
    early = "".join(f'<recv response="{each}" optional="true"/>' for each in (100, 180) if status == "200")
    return early + f'<recv response="{status}" rrs="true"/>'


def dialled_ack(loose: bool = True) -> str:
    return _send(f"""ACK {"[next_url]" if loose else "sip:nobody@[remote_ip]:[remote_port]"} SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch={"[branch]" if loose else "[branch-2]"}
{"[routes]" if loose else "[last_From:]"}
{"[last_From:]" if loose else "X-: -"}
[last_To:]
Call-ID: [call_id]
CSeq: 1 ACK
Max-Forwards: 70
Content-Length: 0
""")


def dialled_bye() -> str:
    return _send("""BYE [next_url] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
[routes]
[last_From:]
[last_To:]
Call-ID: [call_id]
CSeq: 2 BYE
Max-Forwards: 70
Content-Length: 0
""", ' retrans="500"') + '<recv response="200"/>'


def scenario(steps: str, first: str = "INVITE") -> str:
    """What sipp reads: what it waits for first (nothing, where it begins itself), and what it does then."""
    begins = _INVITED if first == "INVITE" else f'<recv request="{first}"/>' if first else ""
    return f"{_HEAD}{begins}{steps}</scenario>"


class Sipp:
    """One family's telephone that does what `steps` say, once for each of `calls`; `done` raises where things went otherwise."""

    def __init__(self, side: Trunkside, folder: Path, steps: str, calls: int = 1, transport: str = "u1",
                 port: int = 5060, first: str = "INVITE", dials: str = "", address: str = TRUNK) -> None:
        self.dials, self.address = dials, address
        self.side, self.folder, self.calls, self.transport, self.port = side, folder, calls, transport, port
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "family.xml").write_text(scenario(steps, "" if dials else first))

    async def __aenter__(self) -> "Sipp":
        self.process = await asyncio.create_subprocess_exec(
            *self.side.inside(["sipp", "-sf", str(self.folder / "family.xml"), "-i", self.address, "-p", str(self.port),
                               "-mp", str(self.port + 41940), "-t", self.transport, "-m", str(self.calls), "-nostdin",
                               "-trace_msg", "-message_file", str(self.folder / "messages"),
                               "-trace_err", "-error_file", str(self.folder / "errors"),
                               *([f"{self.dials}:5060"] if self.dials else [])]),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        await self.side.listening(self.port, "tcp" if self.transport.startswith(("t", "l")) else "udp", address=self.address)
        return self

    async def __aexit__(self, *ended: object) -> None:
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    async def done(self, seconds: float = 10) -> None:
        """Until the scenario is over; it must have gone as written."""
        try:
            code = await asyncio.wait_for(self.process.wait(), seconds)
        except TimeoutError:
            code = -1
        errors = self.folder / "errors"
        assert code == 0, (code, errors.read_text()[-1500:] if errors.exists() else "")
