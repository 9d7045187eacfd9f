"""A recorded track really plays, and really seeks, in the browser that schools use."""

import base64
import os
import shutil

import pytest
from playwright.async_api import async_playwright

from recordings import webm
from recordings.reader import Recording
from recordings.timeline import lasts_until
from tests.recordings.media import KEY, real_opus, real_vp8

PLAYER = """
async ({mime, init, clusters, audio, onlyRanges}) => {
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
  if (onlyRanges) return {ranges};
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


async def play(recorder, number: int, mime: str, *, still: bool = True, only_ranges: bool = False) -> dict:
    with Recording(recorder.path, KEY) as recording:
        audio = recording.tracks[number].codec == "opus"
        clusters, gaps, codec = recording.clusters(number), recording.gaps(number), recording.tracks[number].codec
        parts = [recording.cluster(number, n) for n in range(len(clusters))]
        if not audio and still:
            ends = [lasts_until(clusters, n, gaps, codec, recording.last_ms) for n in range(len(clusters))]
            parts = [webm.lasting(part, end) for part, end in zip(parts, ends, strict=True)]
        given = {
            "mime": mime, "audio": audio, "onlyRanges": only_ranges,
            "init": base64.b64encode(recording.init_segment(number)).decode(),
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


@pytest.mark.browser
async def test_chromium_plays_sound_with_silences_as_one_piece(recorder):
    # Discontinuous transmission: a packet each 400 ms in the middle second.
    sound = [(at, packet, key) for at, packet, key in real_opus(3) if not 1000 < at < 2000 or at % 400 == 0]
    await record(recorder, [], sound)
    found = await play(recorder, 2, 'audio/webm; codecs="opus"')
    assert found["error"] == ""
    assert len(found["ranges"]) == 1
    assert found["ranges"][0][1] > 2.9


@pytest.mark.browser
async def test_chromium_shows_a_screen_that_stood_still(recorder):
    """A shared screen sends a frame now and then, few of them key frames."""
    pictures = [each for each in real_vp8(3, key_every=1000) if each[0] < 300 or 1500 < each[0] < 1700 or each[0] > 2600]
    await record(recorder, pictures, [])
    mime = 'video/webm; codecs="vp8"'
    found = await play(recorder, 1, mime)
    assert found["error"] == ""
    assert len(found["ranges"]) == 1
    assert found["ranges"][0][1] > 2.9
    # Negative control: a browser that is not told how long a picture stood drops what follows, or falls into a hole.
    bare = (await play(recorder, 1, mime, still=False, only_ranges=True))["ranges"]
    assert len(bare) > 1 or bare[0][1] < 2.9
