"""The school calls and the family answers in its app: two Chromiums, each with a voice of its own (policy: CM4, CM5)."""

import json
import re
from array import array
from dataclasses import dataclass, field
from pathlib import Path

import av
import pytest
from playwright.async_api import Browser, Page, WebSocketRoute, expect

from service.calls.way import Kind
from tests.browser.lesson_page import chromium
from tests.browser.test_call_pages import page_of, start
from tests.calls.ears import frame_of, tone
from tests.calls.test_whole_call import Wire
from tests.home_calls import Family, family, until
from tests.pwa.conftest import Parents
from tests.pwa.phone import Phone, invited, phone

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]
SCHOOLS, FAMILYS = 700.0, 1500.0
"""Hertz of what each microphone hears: half a second of it, then silence, so that nobody takes it for a noise."""
KEEP = """const Connection = RTCPeerConnection; window.peers = [];
RTCPeerConnection = class extends Connection { constructor(...how) { super(...how); window.peers.push(this); } };"""
HEARS = """async () => {
  const context = new AudioContext(), ear = context.createAnalyser();
  const track = window.peers.at(-1).getReceivers()[0].track;
  context.createMediaStreamSource(new MediaStream([track])).connect(ear);
  ear.fftSize = 4096;
  const bins = new Float32Array(ear.frequencyBinCount);
  let [loudest, at] = [-80, 0];
  for (let turn = 0; turn < 60; turn += 1) {
    await new Promise((done) => setTimeout(done, 50));
    ear.getFloatFrequencyData(bins);
    bins.forEach((power, bin) => { if (bin > 20 && power > loudest) [loudest, at] = [power, bin]; });
  }
  const hertz = at * context.sampleRate / ear.fftSize;
  await context.close();
  return hertz; }"""
PLACES = """async () => [...(await window.peers.at(-1).getStats()).values()].filter((one) => one.type === "remote-candidate")
  .map((one) => `${one.address}:${one.port}`)"""


def voice(path: Path, hertz: float) -> str:
    """A microphone that hears this tone, half of each second."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("pcm_s16le", rate=8000, layout="mono")
        sound = tone(hertz, 4000) + array("h", [0] * 4000).tobytes()
        for packet in [*stream.encode(frame_of(sound)), *stream.encode(None)]:
            file.mux(packet)
    return f"--use-file-for-fake-audio-capture={path}"


async def own(page: Page) -> list[str]:
    """What names this end's connection: its name, password and certificate."""
    said = await page.evaluate("() => window.peers.at(-1).localDescription.sdp")
    return re.findall(r"a=(?:ice-ufrag:|ice-pwd:|fingerprint:sha-256 )(\S{4,})", said)


async def open_line(mine: Phone, wire: Wire) -> None:
    await mine.sees("Hello")
    await until(lambda: any('"type": "open"' in said for said in wire.said), 15)


async def test_the_school_calls_and_the_family_answers_in_its_app(parents: Parents, tmp_path: Path) -> None:
    home: Family = await family(parents.school)
    letter = await invited(parents.school, home.mum)
    async with (chromium(voice(tmp_path / "school.wav", SCHOOLS)) as office,
                chromium(voice(tmp_path / "family.wav", FAMILYS)) as hand,
                page_of(office, home, parents.url, "dsl") as page,
                phone(hand, parents.url, permissions=["microphone", "notifications"]) as mine):
        await page.context.add_init_script(KEEP)
        await mine.context.add_init_script(KEEP)
        schools, familys = Wire(page), Wire(mine.page)
        await mine.join(letter)
        await open_line(mine, familys)

        call_id = await start(page, home)
        dialog = mine.page.get_by_role("dialog")
        await expect(dialog.get_by_role("heading")).to_have_text("Your child’s school is calling", timeout=15_000)
        assert letter.child not in await dialog.inner_text()
        await mine.sound("call-rings")
        await expect(mine.page.get_by_role("button", name="Answer")).to_be_focused()
        await mine.page.keyboard.press("Enter")
        await expect(page.get_by_role("status")).to_have_text("Connected in their app", timeout=15_000)
        await expect(dialog.get_by_role("status")).to_have_text("Connected")
        await mine.sound("call-is-on")
        assert home.way.orders == {}, "no telephone rang"
        assert abs(await page.evaluate(HEARS) - FAMILYS) < 40
        assert abs(await mine.page.evaluate(HEARS) - SCHOOLS) < 40

        assert set(await page.evaluate(PLACES)) == set(await mine.page.evaluate(PLACES)), "both know the service's place alone"
        of_school, of_family = await own(page), await own(mine.page)
        assert [each for each in of_school if each in " ".join(familys.said)] == []
        assert [each for each in of_family if each in " ".join(schools.said)] == []
        assert all(each in " ".join(schools.said) for each in of_school), "what was passed on would be found"

        parents.school.clock.advance(2)
        await home.link(home.mum, do_not_contact=True)
        await expect(dialog.get_by_role("status")).to_have_text("The call has ended.")
        await expect(page.get_by_role("status")).to_have_text("Do not call. Ask the DSL.")
        await mine.press("Close")
        await expect(dialog).to_have_count(0)
        await until(lambda: parents.school.app.state.desk.live(call_id) is None)
        row = await home.call(call_id)
        assert (row.in_app, row.ended_why) == (True, "rule")

        await home.link(home.mum, do_not_contact=False)
        await mine.goto(f"/m/calls/{home.child}")
        await expect(mine.page.get_by_text("In this app, 1 minute")).to_be_visible()
        await mine.sound("calls")
        await mine.page.goto("about:blank")
        by_telephone = await start(page, home)
        await until(lambda: by_telephone in home.way.orders, 15)
        await home.way.say(by_telephone, Kind.ANSWERED)
        await expect(page.get_by_role("status")).to_have_text("Connected")


@dataclass
class Rings:
    """A line that rings as it is told to, in place of the school's."""

    lines: list[WebSocketRoute] = field(default_factory=list)

    def take(self, line: WebSocketRoute) -> None:
        line.on_message(lambda _: line.send('{"type": "open"}'))
        self.lines.append(line)
        line.send('{"type": "nonce", "nonce": "any"}')

    def say(self, kind: str, call: str, **more: str) -> None:
        self.lines[-1].send(json.dumps({"type": kind, "call": call * 32, **more}))


async def pass_minutes(mine: Phone, minutes: int) -> None:
    for _ in range(minutes * 4):
        await mine.page.clock.run_for(15_000)


async def test_the_last_word_of_a_call_keeps_no_lock_off(browser: Browser, parents: Parents) -> None:
    """The school rings a phone on a kitchen table, and nobody comes (policy: AC2)."""
    letter = await invited(parents.school, parents.school.person("parent", 6))
    rings = Rings()
    async with phone(browser, parents.url, service_workers="block") as mine:
        await mine.page.clock.install()
        await mine.page.route_web_socket("**/api/v1/line", rings.take)
        await mine.join(letter)
        await mine.sees("Hello")
        await mine.follow("More")
        await mine.sees("More")
        dialog = mine.page.locator("dialog.call")
        rings.say("ring", "a")
        await expect(dialog.get_by_role("button", name="Answer")).to_be_visible()
        await pass_minutes(mine, 6)
        await mine.sees("More")  # negative control: while it rings nobody is idle
        rings.say("stop", "a", why="over")
        await expect(dialog.get_by_role("button", name="Close")).to_be_visible()
        rings.say("ring", "b")
        await expect(dialog.get_by_role("button", name="Answer")).to_be_visible()
        await expect(dialog).to_have_count(1)
        rings.say("stop", "b", why="over")
        await expect(dialog.get_by_role("button", name="Close")).to_be_visible()
        await pass_minutes(mine, 6)
        await mine.sees("Chaperone is locked")
        await expect(dialog).to_have_count(0)
