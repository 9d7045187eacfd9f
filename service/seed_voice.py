"""A made-up voice: vowels as a throat and a mouth make them, so that a demo lesson has speech in it, and nobody's.

Pure. A train of pulses (the throat) through three resonances that glide from vowel to vowel (the mouth).
"""

import array
import math
import random

RATE = 16_000
VOWELS = (
    (730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480), (570, 840, 2410), (660, 1720, 2410),
)
"""Formants in hertz, of Peterson and Barney's averages."""
WIDTHS = (80, 100, 140)
STRENGTHS = (1.0, 0.6, 0.3)


def speech(seconds: int, pitch: float, seed: int = 1) -> "array.array[int]":
    """16-bit samples at 16 kHz of somebody babbling at about `pitch` hertz; the same for the same `seed`."""
    chance = random.Random(seed)
    found = array.array("h")
    while len(found) < seconds * RATE:
        found.extend(_syllable(chance, pitch * chance.uniform(0.9, 1.2)))
        found.extend(round(chance.gauss(0, 300)) for _ in range(int(RATE * chance.choice((0.02, 0.04, 0.06, 0.15)))))
    return found[: seconds * RATE]


def _syllable(chance: random.Random, pitch: float) -> "array.array[int]":
    begin, end = chance.choice(VOWELS), chance.choice(VOWELS)
    length = int(RATE * chance.uniform(0.12, 0.25))
    mouth = [[0.0, 0.0] for _ in WIDTHS]
    found = array.array("h")
    phase = 0.0
    for number in range(length):
        along = number / length
        phase += pitch * (1 - 0.15 * along) / RATE
        breath = chance.gauss(0, 0.01) + (1.0 if phase >= 1 else 0.0)
        phase %= 1
        sound = 0.0
        for low, high, width, strength, kept in zip(begin, end, WIDTHS, STRENGTHS, mouth, strict=True):
            fading = math.exp(-math.pi * width / RATE)
            turn = 2 * fading * math.cos(2 * math.pi * (low + (high - low) * along) / RATE)
            kept[0], kept[1] = breath * (1 - fading) + turn * kept[0] - fading * fading * kept[1], kept[0]
            sound += kept[0] * strength
        loud = math.sin(math.pi * along) ** 0.5
        found.append(round(32_000 * max(-1.0, min(1.0, sound * loud * 4))))
    return found
