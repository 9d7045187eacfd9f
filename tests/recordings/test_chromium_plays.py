"""A recorded track really plays, and really seeks, in the browser that schools use."""

import base64
import os
import shutil

import pytest
from playwright.async_api import async_playwright

from recordings.reader import Recording
from tests.recordings.media import KEY, real_opus, real_vp8

PLAYER = """
async ({mime, init, clusters, audio}) => {
  const bytes = text => Uint8Array.from(atob(text), each => each.charCodeAt(0));
  const element = document.createElement(audio ? 'audio' : 'video');
  element.muted = true;
  document.body.append(element);
  const source = new MediaSource();
  element.src = URL.createObjectURL(source);
  await new Promise(done => source.onsourceopen = done);
  const buffer = source.addSourceBuffer(mime);
  const append = part => new Promise((done, failed) => {
    buffer.onupdateend = done; buffer.onerror = failed; buffer.appendBuffer(bytes(part));
  });
  await append(init);
  for (const part of clusters) await append(part);
  source.endOfStream();
  const ranges = [...Array(element.buffered.length).keys()].map(n => [element.buffered.start(n), element.buffered.end(n)]);
  const seen = async at => {
    const sought = new Promise(done => element.onseeked = done);
    const painted = audio ? null : new Promise(done => element.requestVideoFrameCallback((_, frame) => done(frame.mediaTime)));
    element.currentTime = at;
    await sought;
    if (audio) return [element.currentTime, 0];
    const time = await painted;
    const canvas = document.createElement('canvas');
    canvas.width = canvas.height = 1;
    canvas.getContext('2d').drawImage(element, 0, 0, 1, 1);
    return [time, canvas.getContext('2d').getImageData(0, 0, 1, 1).data[0]];
  };
  const sought = [];
  for (const at of [2.5, 0.5, 1.5]) sought.push(await seen(at));
  element.currentTime = 0;
  await element.play();
  await new Promise(done => element.ontimeupdate = () => element.currentTime > 0.5 && done());
  return {ranges, sought, width: element.videoWidth, error: element.error?.message ?? ''};
}
"""


async def record(recorder, pictures, sound) -> None:
    capture = recorder.start()
    camera = capture.track("c", person_id="p", source="camera", codec="vp8")
    microphone = capture.track("m", person_id="p", source="microphone", codec="opus")
    for second in range(3):
        for at, frame, key in pictures:
            if at // 1000 == second:
                assert camera.write(frame, at, key)
        for at, packet, key in sound:
            if at // 1000 == second:
                assert microphone.write(packet, at, key)
        await recorder.second(capture)
    await capture.seal("complete")


async def play(recorder, number: int, mime: str, from_key: int = 0) -> dict:
    with Recording(recorder.path, KEY) as recording:
        audio = recording.tracks[number].codec == "opus"
        parts = [recording.cluster(number, n) for n in range(from_key, len(recording.clusters(number)))]
        given = {
            "mime": mime, "audio": audio, "init": base64.b64encode(recording.init_segment(number)).decode(),
            "clusters": [base64.b64encode(part).decode() for part in parts],
        }
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        )
        try:
            page = await browser.new_page()
            found: dict = await page.evaluate(PLAYER, given)
            return found
        finally:
            await browser.close()


@pytest.mark.browser
async def test_chromium_plays_a_recorded_camera_and_seeks_in_it(recorder):
    pictures = real_vp8(3)
    await record(recorder, pictures, [])
    found = await play(recorder, 1, 'video/webm; codecs="vp8"')
    assert found["error"] == ""
    assert found["width"] == 320
    assert len(found["ranges"]) == 1
    shown = [brightness for _, brightness in found["sought"]]
    assert shown[1] < shown[2] < shown[0], "the picture of 0.5, 1.5 and 2.5 seconds grows brighter"
    assert all(abs(time - at) < 0.1 for (time, _), at in zip(found["sought"], (2.5, 0.5, 1.5), strict=True))


@pytest.mark.browser
async def test_chromium_plays_sound_with_silences_as_one_piece(recorder):
    # Discontinuous transmission: a packet each 400 ms in the middle second.
    sound = [(at, packet, key) for at, packet, key in real_opus(3) if not 1000 < at < 2000 or at % 400 == 0]
    await record(recorder, [], sound)
    found = await play(recorder, 2, 'audio/webm; codecs="opus"')
    assert found["error"] == ""
    assert len(found["ranges"]) == 1
    assert found["ranges"][0][1] > 2.9
