"""What a governor asks, each put to the running service as a small play with a positive control: who should be heard is heard,
so that silence proves something. Every number is measured where a packet arrives, by the kernel's clock.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from consent.rules import Purpose
from lessons.live.supervision import MEDIA_PROOF, OWNER_PROOF, RECORDER_PROOF
from service.selftest.peer import CANDIDATE, offer
from service.selftest.stage import (
    LONG_ENOUGH,
    TEACHER,
    Findings,
    NotShown,
    Stage,
    hears,
    holds,
    only_held_by,
    opened,
    room,
    until_time,
    within,
    write,
)
from service.selftest.stranger import stranger
from service.selftest.tape import delivered_and_recorded, find_file, moved_away, sealed_parts
from service.selftest.visitor import Visitor

SLACK = 0.5
"""Seconds beside a proof's life: a network's way and a machine that is busy."""
AFTERWARDS = 1.0
"""Seconds of silence that are listened to after the last byte that may arrive."""
OPEN = "The room never opened although everybody that it needs was there."


@dataclass(frozen=True)
class Question:
    """`right` and `wrong` are the two answers; `more` are pupils who are in the class beside the usual ones."""

    id: str
    words: str
    right: str
    wrong: str
    policy: str
    ask: Callable[[Stage, Findings], Awaitable[None]]
    more: tuple[str, ...] = ()


async def alone(stage: Stage, found: Findings) -> None:
    teacher, pupil = await stage.bring(TEACHER, "Ash")
    await _hold(stage, found, [teacher, pupil], "lone-adult", "A teacher and one pupil were in the room")
    other, = await stage.bring("Birch", device=teacher.device)
    since = time.time()
    await asyncio.sleep(LONG_ENOUGH)
    found.check(not _between([teacher, pupil, other], since),
                "A second “pupil” in the same browser as the teacher opened nothing.",
                "A second “pupil” in the same browser as the teacher opened the room.")
    await other.go()
    other, = await stage.bring("Birch")
    await _control(found, teacher, [pupil, other])
    at = await other.vanish()
    await _closes(found, at, teacher, pupil, "the second pupil’s device died", "vanish_to_last_byte")
    await stage.bring("Birch")
    await _control(found, teacher, [pupil], "When the second pupil came back the lesson went on by itself.")


async def no_adult(stage: Stage, found: Findings) -> None:
    one, other = await stage.bring("Ash", "Birch")
    await _hold(stage, found, [one, other], "no-adult", "Two pupils were in the room before any adult")
    found.check(not one.told["state"]["people"], "Neither was told who else was waiting.", "Each was told who else was waiting.")
    teacher, = await stage.bring(TEACHER)
    await _control(found, one, [teacher, other])
    at = await teacher.vanish()
    await _closes(found, at, one, other, "the teacher’s device died", "vanish_to_last_byte")


async def unrecorded(stage: Stage, found: Findings) -> None:
    everybody = await stage.bring(TEACHER, "Ash", "Birch")
    _, pupil, other = everybody
    for visitor in everybody:
        await _control(found, visitor, [one for one in everybody if one is not visitor], "")
    written = await write(pupil)
    found.need(written.reached(pupil), "Everybody spoke and was heard by everybody else, and one wrote in the chat.",
               "The chat did not work.")
    at = await other.vanish()
    await until_time(at + MEDIA_PROOF + SLACK)
    await stage.close()
    delivered, recorded, texts = await delivered_and_recorded(stage, everybody)
    missing = len(delivered - recorded)
    found.measured |= {"packets_delivered": len(delivered), "packets_not_recorded": missing}
    found.check(delivered and not missing,
                f"All {len(delivered)} packets of sound that reached anybody are in the recording, decrypted and compared.",
                f"{missing} of {len(delivered)} packets of sound that reached somebody are not in the recording.")
    found.check(written.text in texts, "So is what was written.", "What was written is not in the recording.")
    parts, fault = await sealed_parts(stage)
    found.check(parts and not fault, "The recording is sealed, signed, and verifies chunk by chunk.",
                f"The recording does not verify: {fault or 'there is none'}.")


async def recorder_stops(stage: Stage, found: Findings) -> None:
    teacher, pupil, _ = await stage.bring(TEACHER, "Ash", "Birch")
    await _control(found, teacher, [pupil])
    path = await find_file(stage)
    with moved_away(path):
        at = time.time()
        await within(pupil, lambda: room(pupil) == "held", RECORDER_PROOF + SLACK)
        reason = holds(pupil)[:1]
        await until_time(time.time() + AFTERWARDS / 2)
        last = max(pupil.hears(teacher, since=at), default=at)
        took = found.took("recorder_to_last_byte", last - at)
    found.check(took <= RECORDER_PROOF + SLACK,
                f"The lesson’s recording was taken away while it ran: the last sound passed {took:.1f} seconds later.",
                f"The lesson’s recording was taken away while it ran, and sound passed for {took:.1f} seconds.")
    found.check(reason == ["not-recorded"], "Everybody was told why the lesson paused.",
                "Nobody was told that nothing is recorded.")
    await _control(found, teacher, [pupil], "Once it was recorded again the lesson went on by itself.")
    await stage.close()
    parts, fault = await sealed_parts(stage)
    found.check(parts > 1 and not fault, f"What was recorded before and after is whole: {parts} parts that verify.",
                f"The recording does not verify: {fault or 'a part is missing'}.")


async def consent(stage: Stage, found: Findings) -> None:
    without = await stage.signed_in("Gorse")
    refused = await without.ask(stage.client)
    found.check(refused.status_code == 403, "A pupil whose family has not answered was turned away at the door.",
                f"A pupil whose family has not answered was let in (the door said {refused.status_code}).")
    teacher, pupil, leaving, silent = await stage.bring(TEACHER, "Ash", "Fir", "Elm")
    await _control(found, leaving, [teacher, pupil])
    await _control(found, teacher, [pupil, leaving], "")
    await silent.say("microphone", on=True)
    since = time.time()
    await asyncio.sleep(LONG_ENOUGH)
    found.check(not pupil.hears(silent, since=since) and not teacher.hears(silent, since=since),
                "A pupil without consent for the microphone switched it on: nobody heard anything.",
                "A pupil without consent for the microphone was heard.")
    await stage.school.answer(stage.person("Fir"), {Purpose.ATTEND: False})
    at = time.time()
    await until_time(at + OWNER_PROOF + SLACK)
    passed = [*pupil.hears(leaving, since=at), *teacher.hears(leaving, since=at), *leaving.hears(teacher, since=at)]
    last = max(passed, default=at)
    took = found.took("withdrawal_to_last_byte", last - at)
    found.check(took < OWNER_PROOF, f"A family took its consent back in the middle of the lesson: {took:.1f} seconds later "
                "nothing reached that pupil or came from them.",
                f"A family took its consent back, and the pupil went on taking part for more than {took:.1f} seconds.")
    found.need(await hears(pupil, teacher, since=time.time()), "The others went on.",
               "The lesson stopped for everybody else too.")


async def private(stage: Stage, found: Findings) -> None:
    everybody = await stage.bring(TEACHER, "Ash", "Birch")
    teacher, pupil, other = everybody
    found.need(await opened(everybody), "", OPEN)
    people = {stage.person(visitor.name) for visitor in everybody}
    for writer in (pupil, teacher):
        written = await write(writer)
        found.need(written.became == "chat", "", "The chat did not work.")
        missed = [one for one in everybody if not await within(one, partial(written.reached, one), 3.0)]
        found.check(not missed, f"What {_who(writer)} wrote reached everybody in the room.",
                    f"What {_who(writer)} wrote reached only some of those in the room.")
    whispered = await write(pupil, person=stage.person("Birch"))
    found.check(whispered.became == "refused" and not whispered.reached(other), "A message to one person was refused.",
                "A message to one person was accepted.")
    await _control(found, pupil, [teacher, other], "What a pupil says reaches the teacher and the others.",
                   wrong="What a pupil said reached only some of those in the room.")
    seen = [{one["person"] for one in visitor.told["state"]["people"]} for visitor in everybody]
    found.check(all(shown == people for shown in seen), "Everybody is shown everybody who is there, and nobody else is there.",
                "Somebody is in the room whom not everybody is shown.")
    await _no_other_way(stage, found, everybody)


async def _no_other_way(stage: Stage, found: Findings, everybody: list[Visitor]) -> None:
    """No channel beside sound and pictures, and no address but the server's."""
    made = await stage.signed_in("Cedar")
    given = await made.ask(stage.client)
    await made.enter(str(given.json()["ticket"]))
    channel = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:3\r\n"
    await made.say("publish", sdp=offer(made.up.certificate, extra=channel))
    await within(made, lambda: "refused" in made.told or "published" in made.told, 3.0)
    found.check("published" not in made.told, "A page that asked for a data channel was refused.",
                "A page that asked for a data channel got one.")
    ports = {port for visitor in everybody for kind in ("published", "subscribe")
             for _, port in CANDIDATE.findall(visitor.told[kind]["sdp"])}
    found.check(len(ports) == 1, "Pages are told only the server’s address, so no device can reach another.",
                "Pages are told more addresses than the server’s.")


def _who(visitor: Visitor) -> str:
    return "the teacher" if visitor.name == TEACHER else "a pupil"


# What questions have in common


async def _hold(stage: Stage, found: Findings, everybody: list[Visitor], reason: str, scene: str) -> None:
    """These people, and every other proof: nothing passes, however long they try."""
    alone = await only_held_by(everybody[0], reason)
    since, sent = time.time(), sum(visitor.sent for visitor in everybody)
    for visitor in everybody:
        await visitor.say("microphone", on=True)
    await asyncio.sleep(LONG_ENOUGH)
    passed, sent = _between(everybody, since), sum(visitor.sent for visitor in everybody) - sent
    found.measured["bytes_while_held"] = float(passed)
    found.check(not passed, f"{scene}: of {sent} packets of sound that they sent, 0 bytes reached anybody.",
                f"{scene}, and {passed} bytes of sound passed between them.")
    if not passed and not alone:
        raise NotShown(f"The room was held for another reason ({', '.join(holds(everybody[0])) or 'none was said'}).")
    for visitor in everybody[:2]:
        written = await write(visitor)
        found.check(written.became == "chat_refused" or not any(written.reached(one) for one in everybody),
                    f"The chat refused what {_who(visitor)} wrote.", f"What {_who(visitor)} wrote in the chat was delivered.")


def _between(everybody: list[Visitor], since: float) -> int:
    """How many bytes of sound reached any of them."""
    return sum(len(payload) for visitor in everybody for at, payload in visitor.heard() if at >= since)


async def _control(found: Findings, speaker: Visitor, listeners: list[Visitor],
                   words: str = "With everybody there who has to be, they heard each other.", wrong: str = "") -> None:
    """The positive control: the room opens, and who speaks is heard."""
    found.need(await opened([speaker, *listeners]), "", OPEN)
    since = time.time()
    await speaker.say("microphone", on=True)
    heard = [await hears(listener, speaker, since=since, seconds=5.0) for listener in listeners]
    reached = [bool(listener.hears(speaker, since=since)) for listener in listeners]
    if wrong and any(reached) and not all(reached):  # one packet is enough: the monitor stops such a lesson at the first
        found.faults.append(wrong)
        return
    found.need(all(heard), words, "The room was open, and somebody who spoke was not heard.")


async def _closes(found: Findings, at: float, speaker: Visitor, listener: Visitor, what: str, name: str) -> None:
    """After somebody vanished at `at` nothing more arrives, in time, however long the others go on."""
    limit, before = MEDIA_PROOF + SLACK, speaker.sent
    await until_time(at + limit + AFTERWARDS)
    last = max(listener.hears(speaker, since=at), default=at)
    took = found.took(name, last - at)
    found.check(took <= limit, f"Then {what}, without a word: {took:.1f} seconds later the last sound had passed, although "
                f"{speaker.sent - before} more packets were sent.",
                f"Then {what}, and sound still passed {took:.1f} seconds later.")
    written = await write(speaker)
    found.check(not written.reached(listener), "The chat was shut as well.", "The chat was still open.")


QUESTIONS = (
    Question("alone", "Can a teacher be alone with a pupil?", "No.", "Yes.", "RL1", alone),
    Question("unrecorded", "Can a lesson go unrecorded?", "No.", "Yes.", "RL4", unrecorded),
    Question("recorder-stops", "If recording stops, does the lesson?", "Yes, in {recorder_to_last_byte:.1f} seconds.", "No.",
             "RL4", recorder_stops),
    Question("consent", "Can a pupil without consent get in?", "No.", "Yes.", "CO2", consent, ("Fir", "Gorse")),
    Question("no-adult", "Can pupils talk with no adult?", "No.", "Yes.", "RL5", no_adult),
    Question("private", "Can anyone talk in private?", "No.", "Yes.", "RL7", private),
    Question("stranger", "Can a stranger with the link get in?", "No.", "Yes.", "RL8", stranger),
)
