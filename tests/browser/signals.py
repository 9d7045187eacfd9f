"""What each fake camera shows and each fake microphone says, so that a receiver can prove whose it has.

A camera carries a code of three bars between a white and a black one; a microphone beeps at a tone of its own. Both survive
what browsers do to them: scaling, lossy coding, noise suppression (which swallows a steady tone).
"""

import math
import struct
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

WIDTH, HEIGHT, FRAMES_PER_SECOND = 320, 180, 10
BARS = 5
SCREEN = 8
"""The code for what Chromium shows as its fake screen: a green ground."""
TONES = {1: 500, 2: 700, 3: 1100, 4: 1300, 5: 1700, 6: 1900}
"""Hertz of each code's microphone: apart, and none a multiple of another."""

# In the page: the mean red, green and blue in the middle of each bar, for every picture of another person that is shown.
READ_PICTURES = """() => [...document.querySelectorAll("video[data-person]")].filter(v => v.readyState > 1).map(v => {
  const canvas = document.createElement("canvas");
  canvas.width = 160; canvas.height = 90;
  const paint = canvas.getContext("2d", {willReadFrequently: true});
  paint.drawImage(v, 0, 0, 160, 90);
  const bars = [0, 1, 2, 3, 4].map(bar => {
    const {data} = paint.getImageData(bar * 32 + 10, 20, 12, 40);
    const mean = [0, 0, 0];
    for (let i = 0; i < data.length; i += 4) for (const c of [0, 1, 2]) mean[c] += data[i + c] / (data.length / 4);
    return mean;
  });
  return {person: v.dataset.person, source: v.dataset.source, bars};
})"""

# In the page: for each sound of another person, how loud each of the given tones is (dB, the loudest over some seconds).
READ_SOUNDS = """async ([tones, seconds]) => {
  const context = new AudioContext();
  await context.resume();
  const heard = [...document.querySelectorAll("audio[data-person]")].filter(a => a.srcObject || a.currentSrc).map(a => {
    const analyser = new AnalyserNode(context, {fftSize: 8192, smoothingTimeConstant: 0});
    context.createMediaStreamSource(a.srcObject ?? a.captureStream()).connect(analyser);
    return {person: a.dataset.person, analyser, loudest: tones.map(() => -200)};
  });
  const until = performance.now() + 1000 * seconds;
  while (performance.now() < until) {
    await new Promise(done => setTimeout(done, 60));
    for (const {analyser, loudest} of heard) {
      const bins = new Float32Array(analyser.frequencyBinCount);
      analyser.getFloatFrequencyData(bins);
      tones.forEach((tone, i) => {
        const bin = Math.round(tone * analyser.fftSize / context.sampleRate);
        loudest[i] = Math.max(loudest[i], ...bins.slice(bin - 1, bin + 2));
      });
    }
  }
  await context.close();
  return heard.map(({person, loudest}) => ({person, loudest: loudest.map(v => Number.isFinite(v) ? v : -200)}));
}"""


def _video(path: Path, pictures: Iterable[bytes]) -> Path:
    """A YUV4MPEG2 file of these pictures (planes Y, U, V; 4:2:0)."""
    with path.open("wb") as out:
        out.write(f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F{FRAMES_PER_SECOND}:1 Ip A1:1 C420jpeg\n".encode())
        for picture in pictures:
            out.write(b"FRAME\n" + picture)
    return path


def camera_file(folder: Path, code: int) -> Path:
    """Two seconds of pictures with this code and a spot that moves, for Chromium to repeat."""
    levels = [235, *(235 if code & bit else 16 for bit in (4, 2, 1)), 16]  # the luma of white and black
    row = b"".join(bytes([level]) * (WIDTH // BARS) for level in levels)
    grey = bytes([128]) * (WIDTH * HEIGHT // 2)

    def pictures() -> Iterator[bytes]:
        for number in range(2 * FRAMES_PER_SECOND):
            picture = bytearray(row * HEIGHT)
            for y in range(HEIGHT - 16, HEIGHT - 4):
                at = y * WIDTH + number * 12
                picture[at:at + 12] = bytes([128]) * 12
            yield bytes(picture) + grey

    return _video(folder / f"camera-{code}.y4m", pictures())


def portrait_file(folder: Path, code: int) -> Path:
    """Somebody drawn with a few shapes on a ground of their own colour: for pictures of the product, not for proof."""
    luma, blue, red = bytearray(WIDTH * HEIGHT), bytearray(WIDTH * HEIGHT // 4), bytearray(WIDTH * HEIGHT // 4)
    ground = ((150, 140, 110), (120, 150, 120), (170, 118, 140), (135, 120, 150), (160, 150, 128), (140, 110, 128))[code % 6]
    coat = ((70, 150, 120), (90, 110, 150), (60, 128, 128), (80, 140, 140), (100, 120, 110), (75, 115, 160))[code % 6]
    skin = ((180, 112, 148), (110, 118, 145), (150, 114, 150), (85, 120, 142), (195, 114, 144), (130, 116, 148))[code % 6]
    hair = (40 + 9 * code % 40, 124, 134)
    for y in range(HEIGHT):
        for x in range(WIDTH):
            dx, dy = (x - WIDTH / 2) / HEIGHT, y / HEIGHT
            head = (dx / 0.17) ** 2 + ((dy - 0.45) / 0.22) ** 2
            body = (dx / 0.36) ** 2 + ((dy - 1.05) / 0.38) ** 2
            crown = (dx / 0.19) ** 2 + ((dy - 0.36) / 0.2) ** 2
            colour = skin if head < 1 and dy > 0.33 else hair if crown < 1 else coat if body < 1 else ground
            luma[y * WIDTH + x] = colour[0]
            if not (x | y) & 1:
                blue[y // 2 * WIDTH // 2 + x // 2], red[y // 2 * WIDTH // 2 + x // 2] = colour[1], colour[2]
    return _video(folder / f"portrait-{code}.y4m", [bytes(luma + blue + red)] * FRAMES_PER_SECOND)


def microphone_file(folder: Path, code: int, rate: int = 48_000) -> Path:
    """One second of sound (WAV): two beeps of 0.3 s at the tone of this code, for Chromium to repeat."""
    samples = array("h", (
        int(14_000 * math.sin(2 * math.pi * TONES[code] * n / rate)) if (n / rate) % 0.5 < 0.3 else 0 for n in range(rate)))
    content = samples.tobytes()
    path = folder / f"microphone-{code}.wav"
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16)
    path.write_bytes(b"RIFF" + struct.pack("<I", 36 + len(content)) + b"WAVE" + form + b"data" + struct.pack("<I", len(content))
                     + content)
    return path


def code_of(bars: Sequence[Sequence[float]]) -> int | None:
    """The code that a picture shows; None when it shows none (dark, grey, half faded)."""
    if all(green - max(red, blue) > 60 for red, green, blue in bars):
        return SCREEN
    white, *code, black = (sum(colour) / 3 for colour in bars)
    if white - black < 80:
        return None
    third = (white - black) / 3
    if any(black + third < bar < white - third for bar in code):
        return None
    return sum(bit for bit, bar in zip((4, 2, 1), code, strict=True) if bar > (white + black) / 2)


def tone_of(loudest: Sequence[float], tones: Sequence[int]) -> int | None:
    """Which of `tones` is heard: at least 12 dB louder than every other, and not silence."""
    ranked = sorted(zip(loudest, tones, strict=True), reverse=True)
    (first, tone), (second, _) = ranked[0], ranked[1]
    return tone if first > -75 and first - second > 12 else None


def pictures(read: list[dict[str, Any]]) -> dict[tuple[str, str], int | None]:
    """{(person, source): code} from READ_PICTURES."""
    return {(shown["person"], shown["source"]): code_of(shown["bars"]) for shown in read}


def sounds(read: list[dict[str, Any]]) -> dict[str, int | None]:
    """{person: hertz} from READ_SOUNDS asked for `TONES`."""
    return {heard["person"]: tone_of(heard["loudest"], list(TONES.values())) for heard in read}
