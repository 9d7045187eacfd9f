"""`telephone.js` in a real browser: Chromium, Janus, our relay, kamailio, a cable and baresip, with tones both ways."""

import os
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, Route, async_playwright

from service.calls.way import End, Kind
from tests.calls.cable import Cable, Trunkside, leaks
from tests.calls.ears import hertz, wav
from tests.calls.people import HEARD, PARENT, SAID, TRUNK
from tests.calls.phones import Baresip
from tests.calls.stage import Diary, order, seconds, way

SCRIPT = Path(__file__).parents[2] / "service/calls/static/telephone.js"
EARS = """
const real = window.RTCPeerConnection;
window.RTCPeerConnection = class extends real { constructor(...a) { super(...a); window.connection = this; } };
window.loudest = async () => {
  const context = window.ears ??= new AudioContext();
  const track = window.connection.getReceivers()[0].track;
  const analyser = context.createAnalyser();
  analyser.fftSize = 8192;
  context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
  await new Promise((resolve) => setTimeout(resolve, 400));
  const found = new Float32Array(analyser.frequencyBinCount);
  analyser.getFloatFrequencyData(found);
  const top = found.indexOf(Math.max(...found));
  return found[top] < -60 ? 0 : top * context.sampleRate / analyser.fftSize;
};
"""


@pytest.fixture
async def page(side: Trunkside, tmp_path: Path) -> AsyncIterator[Page]:
    """A browser whose microphone says a tone, on a page of nothing but the script."""
    tone = wav(tmp_path / "microphone.wav", HEARD, 20)

    async def serve(route: Route) -> None:
        script = route.request.url.endswith("telephone.js")
        await route.fulfill(body=SCRIPT.read_text() if script else "<!doctype html><title>A call</title>",
                            content_type="text/javascript" if script else "text/html")

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM") or shutil.which("chromium"),
            args=["--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
                  f"--use-file-for-fake-audio-capture={tone}", "--autoplay-policy=no-user-gesture-required",
                  "--disable-background-networking", "--disable-component-update"])
        context = await browser.new_context(permissions=["microphone"])
        await context.route("**/*", serve)
        opened = await context.new_page()
        await opened.add_init_script(EARS)
        await opened.goto("http://localhost/call")
        yield opened
        await browser.close()


async def call(page: Page, expression: str, argument: Any = None) -> Any:
    return await page.evaluate(expression, argument)


@pytest.mark.browser
async def test_a_teacher_in_a_browser_and_a_family_on_a_telephone(side: Trunkside, tmp_path: Path, page: Page) -> None:
    offer = await call(page, """async () => {
        const { openTelephone } = await import("/telephone.js");
        window.telephone = await openTelephone();
        return window.telephone.offer;
    }""")
    diary = Diary()
    async with Cable(tmp_path / "cable") as cable, Baresip(side, tmp_path / "family"), way() as opened:
        placed = order(offer)
        await opened.place(placed, diary.tell)
        answered = await diary.until(Kind.ANSWERED)
        await call(page, "answer => window.telephone.accept(answer)", answered.answer)
        await page.wait_for_function("window.connection.connectionState === 'connected'")
        await seconds(1)
        assert hertz(cable.sound()) == 0
        assert await call(page, "loudest()") == 0

        await opened.connect(placed.call_id)
        connected = time.time()
        await seconds(1)
        assert abs(await call(page, "loudest()") - SAID) < 10
        assert hertz(cable.sound(since=connected + 0.4)) == HEARD

        await call(page, "window.telephone.hold(true)")
        held = time.time()
        await seconds(0.8)
        assert hertz(cable.sound(since=held + 0.4)) == 0

        told = await call(page, "JSON.stringify([window.connection.remoteDescription, window.connection.localDescription])")
        assert PARENT.removeprefix("+") not in told
        assert TRUNK not in told
        assert leaks(cable.trace) == []

        await opened.hang_up(placed.call_id)
        assert (await diary.until(Kind.ENDED)).end is End.HUNG_UP
        assert await call(page, """async () => {
            const microphone = window.connection.getSenders()[0].track;
            window.telephone.close();
            window.telephone.close();
            return [microphone.readyState, window.connection.signalingState];
        }""") == ["ended", "closed"]


@pytest.mark.browser
async def test_without_a_microphone_nothing_stays_open(page: Page) -> None:
    assert await call(page, """async () => {
        const { openTelephone } = await import("/telephone.js");
        navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("no", "NotAllowedError"));
        return openTelephone().catch((error) => error.name);
    }""") == "NotAllowedError"
    assert await call(page, "typeof window.connection") == "undefined"
