"""Who may watch a recording: the safeguarding team, for a reason, in the sign-in that gave it, and nobody who took part.

policy: RE1, RE2, RE4, RL4, RL6
"""

import re
from dataclasses import dataclass
from datetime import timedelta

import httpx
import pytest
from sqlmodel import col, select

from recordings import commands, rules
from recordings.reader import Recording as File
from recordings.review import OVER, PIECE
from recordings.tables import Recording, RecordingKey, RecordingPart
from recordings.vault import key_id
from service.foundation.audit import AuditLeaf
from service.foundation.events import Actor, system
from service.people import sessions
from service.safeguarding import commands as safeguarding
from service.safeguarding.rules import Kind
from tests.proofs import action_of, confirmed_post
from tests.recordings.lesson import Recorded, begin, finish, record_lesson, start, teach
from tests.school import Running


@pytest.fixture
async def recorded(school: Running) -> Recorded:
    return await record_lesson(school)


async def view(school: Running, client: httpx.AsyncClient, recorded: Recorded, why: str = "flag", role: str = "dsl") -> str:
    """Give a reason, and prove who one is; the address of the view."""
    answer = await confirmed_post(school, client, school.person(role), recorded.page, {"why": why, "concern": "C-17"})
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


def addresses(at: str) -> list[str]:
    """Everything that a view serves."""
    return [at, f"{at}/tracks", f"{at}/pieces?of=1.1,1.2&at=5000&until=7000", f"{at}/preparation"]


async def viewed(school: Running) -> list[str]:
    async with school.database.reading() as session:
        return list((await session.exec(select(AuditLeaf.actor_id).where(AuditLeaf.kind == "RecordingViewed"))).all())


async def test_the_dsl_gives_a_reason_and_gets_everything(school: Running, recorded: Recorded) -> None:
    async with await school.signed_in("dsl") as dsl:
        asked = await dsl.get(recorded.page)
        assert "Your name and the time go on the picture and in the log." in asked.text
        at = await view(school, dsl, recorded)
        page, tracks, media, preparation = [await dsl.get(address) for address in addresses(at)]
    assert all(answer.status_code == 200 for answer in (page, tracks, media, preparation))
    assert [each.body[:4] for each in pieces(media.content)] == [b"\x1a\x45\xdf\xa3"] * 2, "with the beginning, where it begins"
    assert preparation.json() == {"words": "Being prepared: waiting for its turn"}
    sources = {(track["source"], track["person"]) for track in tracks.json()["tracks"]}
    assert sources == {("camera", recorded.teacher), ("microphone", recorded.teacher), ("microphone", recorded.pupils[0])}
    assert tracks.json()["pauses"] == [[10_000, 14_000, "One adult would have been alone with one pupil"]]


async def test_the_page_tells_who_was_there_what_was_flagged_and_what_was_written(
    school: Running, recorded: Recorded
) -> None:
    async with school.database.writing() as session:  # a flag raises one, whose readers read it here too
        await safeguarding.raise_alert(
            session, Actor(recorded.teacher, recorded.school_id, frozenset()), kind=Kind.FLAG, now=school.clock.now(),
            lesson_id=recorded.lesson_id, present=[recorded.teacher], about="heard", words="Shouting behind Ali")
    async with await school.signed_in("dsl") as dsl:
        page = (await dsl.get(await view(school, dsl, recorded))).text
    assert f'href="/concerns/new?lesson={recorded.lesson_id}"' in page, "from what is seen to a concern in one press"
    assert "Is it &lt;b&gt;half&lt;/b&gt;?" in page, "what a child typed is never markup"
    assert "Mr Hall flagged this moment. Heard. Shouting behind Ali" in page
    assert "One adult would have been alone with one pupil" in page
    assert re.search(r"Not sent</strong></td>\s*<td[^>]*>Ali Rahman: look at example.org", page)
    assert 'data-who="Miss Okafor, DSL"' in page, "the watermark names who is watching (RE4)"
    assert "download" not in page.lower()


@pytest.mark.parametrize("why", ["", "teaching quality", "performance management"])
async def test_without_one_of_the_four_reasons_nothing_opens(school: Running, recorded: Recorded, why: str) -> None:
    async with await school.signed_in("dsl") as dsl:
        answer = await dsl.post(recorded.page, data={"why": why})
    assert answer.status_code == 422
    assert ("used for nothing else (policy RE1)" if why else "Choose why you need to watch this recording") in answer.text
    assert await viewed(school) == []


def test_how_somebody_teaches_is_not_a_reason() -> None:
    assert set(rules.Why) == {"concern", "flag", "complaint", "police"}


async def test_every_view_is_in_the_audit_before_the_first_byte(school: Running, recorded: Recorded) -> None:
    async with await school.signed_in("dsl") as dsl:
        assert await viewed(school) == []
        at = await view(school, dsl, recorded)
        assert await viewed(school) == [school.person("dsl")]
        assert (await dsl.get(addresses(at)[3])).status_code == 200


async def test_nobody_watches_without_proving_who_they_are(school: Running, recorded: Recorded) -> None:
    async with await school.signed_in("dsl") as dsl:
        asked = await dsl.post(recorded.page, data={"why": "flag"})
        assert "You are about to watch the recording of Maths: fractions." in asked.text
        refused = await dsl.post(recorded.page, data={
            "why": "flag", "step_up_action": action_of(asked), "step_up_password": "a guess", "step_up_code": "123456"})
        assert "We could not check it was you" in refused.text
        assert await viewed(school) == []


async def test_without_its_audit_entry_a_view_gets_no_byte(
    school: Running, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failing(*_: object) -> None:
        raise RuntimeError("the audit cannot be written")

    async with await school.signed_in("dsl") as dsl:
        monkeypatch.setattr(commands, "publish", failing)
        answer = await confirmed_post(school, dsl, school.person("dsl"), recorded.page, {"why": "flag"})
        assert answer.status_code == 500
        async with school.database.reading() as session:
            assert (await session.exec(select(commands.RecordingView))).all() == []
        monkeypatch.undo()
        # Negative control: the same request with the audit working opens it.
        assert await view(school, dsl, recorded)


OTHERS = ("teacher", "senior_leader", "headteacher", "office", "governor", "technician", "pupil", "parent", "dpo", "chair",
          "support")


@pytest.mark.parametrize("role", OTHERS)
async def test_to_everybody_else_a_recording_does_not_exist(school: Running, recorded: Recorded, role: str) -> None:
    async with await school.signed_in("dsl") as dsl, await school.signed_in(role, -1) as other:
        at = await view(school, dsl, recorded)
        missing = await other.get("/recordings/" + "0" * 32)
        assert missing.status_code == 404
        for address in ["/recordings", recorded.page, *addresses(at)]:
            answer = await other.get(address)
            assert answer.status_code == 404, address
            assert answer.text == missing.text, address
        assert (await other.post(recorded.page, data={"why": "flag"})).status_code == 404
        assert (await dsl.get(addresses(at)[3])).status_code == 200, "negative control: the right person gets it"


async def test_nobody_who_took_part_can_open_it_not_even_the_dsl(school: Running) -> None:
    recorded = await record_lesson(school, [school.person("dsl")])
    async with await school.signed_in("dsl") as dsl, await school.signed_in("deputy_dsl") as deputy:
        for answer in (await dsl.get(recorded.page), await dsl.post(recorded.page, data={"why": "concern"})):
            assert answer.status_code == 403
            assert "You were in this lesson, so somebody else reviews it." in answer.text
        listed = (await dsl.get("/recordings")).text
        assert "You were in this lesson, so somebody else reviews it." in listed
        assert recorded.page not in listed
        at = await view(school, deputy, recorded, role="deputy_dsl")
        assert (await dsl.get(addresses(at)[3])).status_code == 404
        assert (await deputy.get(addresses(at)[3])).status_code == 200


async def test_a_list_tells_nobody_that_somebody_looks_at_their_lesson(school: Running) -> None:
    mine = await record_lesson(school, [school.person("dsl")])
    async with await school.signed_in("dsl") as dsl, await school.signed_in("deputy_dsl") as deputy:
        before = (await dsl.get("/recordings")).text
        opened = await confirmed_post(school, deputy, school.person("deputy_dsl"), mine.page, {"why": "flag"})
        assert opened.status_code == 303, opened.text
        assert "Nowak" in (await deputy.get(mine.page)).text.split("<main")[1], "the control: who may watch it sees who did"
        assert (await dsl.get("/recordings")).text == before


async def test_somebody_whom_only_the_recording_shows_cannot_open_it_either(school: Running) -> None:
    """The rows say who was admitted; should one be missing, the recording itself still knows."""
    recorded = await begin(school, [])
    recorded.participants.append(school.person("dsl"))
    capture = start(school, recorded)
    await teach(school, recorded, capture)
    await finish(school, recorded, capture)
    async with await school.signed_in("dsl") as dsl:
        assert (await dsl.post(recorded.page, data={"why": "concern"})).status_code == 403


async def test_a_copied_address_gets_nothing_in_another_sign_in(school: Running, recorded: Recorded) -> None:
    async with (
        await school.signed_in("dsl") as dsl, await school.signed_in("dsl") as again,
        await school.signed_in("deputy_dsl") as deputy, school.client() as nobody,
    ):
        at = await view(school, dsl, recorded)
        for address in addresses(at):
            assert (await dsl.get(address)).status_code == 200
            assert (await again.get(address)).status_code == 404, "the same person, another sign-in"
            assert (await deputy.get(address)).status_code == 404
            refused = await nobody.get(address, headers={"accept": "application/json"})
            assert refused.status_code == 401
            assert recorded.teacher not in refused.text


async def test_a_view_opens_only_the_recording_it_was_given_for(school: Running, recorded: Recorded) -> None:
    other = await begin(school, [], next(each for each in school.made["lessons"] if each["id"] != recorded.lesson_id))
    await finish(school, other, start(school, other))
    async with await school.signed_in("dsl") as dsl:
        at = await view(school, dsl, recorded)
        for address in addresses(at):
            assert (await dsl.get(address.replace(recorded.lesson_id, other.lesson_id))).status_code == 404


async def test_a_view_ends_with_its_time_and_with_its_sign_in(school: Running, recorded: Recorded) -> None:
    async with await school.signed_in("dsl") as dsl:
        at = await view(school, dsl, recorded)
        for _ in range(11):
            school.clock.advance(600)  # watching is being active
            assert (await dsl.get(addresses(at)[3])).status_code == 200
        school.clock.advance(600)
        assert (await dsl.get(addresses(at)[3])).status_code == 404, "two hours are over"

        at = await view(school, dsl, recorded)
        async with school.database.writing() as session:
            await sessions.end_all(
                session, system(recorded.school_id), person_id=school.person("dsl"), why="left", now=school.clock.now()
            )
        assert (await dsl.get(addresses(at)[3], headers={"accept": "application/json"})).status_code == 401


async def test_nothing_of_a_view_may_be_stored(school: Running, recorded: Recorded) -> None:
    async with await school.signed_in("dsl") as dsl:
        for address in addresses(await view(school, dsl, recorded)):
            answer = await dsl.get(address)
            assert answer.headers["cache-control"] == "no-store", address
            assert "content-disposition" not in answer.headers


async def test_nothing_on_disk_or_in_an_address_names_anybody(school: Running, recorded: Recorded) -> None:
    async with await school.signed_in("dsl") as dsl:
        at = await view(school, dsl, recorded)
    name = re.compile(r"[0-9a-f]{32}|\d+\.(rec|aside)")
    files = [file.relative_to(recorded.begun.path.parents[1]) for file in recorded.begun.path.parents[1].rglob("*")]
    assert files
    assert all(name.fullmatch(part) for file in files for part in file.parts)
    assert re.fullmatch(r"/recordings/[0-9a-f]{32}/views/[0-9a-f]{32}", at)


@dataclass(frozen=True)
class Piece:
    """What an answer holds of one track."""

    track: int
    following: int
    begins: int
    missing: int
    body: bytes


def pieces(content: bytes) -> list[Piece]:
    found, at = [], 0
    while at < len(content):
        _, track, following, begins, missing, length = PIECE.unpack_from(content, at)
        at += PIECE.size
        found.append(Piece(track, following, begins, missing, content[at : at + length]))
        at += length
    return found


async def test_a_changed_piece_is_left_out_and_said_and_the_rest_plays(school: Running, recorded: Recorded) -> None:
    data = bytearray(recorded.begun.path.read_bytes())
    with File(recorded.begun.path, recorded.begun.key) as file:
        listed = file.clusters(1)
    data[listed[2].offset + 100] ^= 1
    recorded.begun.path.write_bytes(data)
    async with await school.signed_in("dsl") as dsl:
        at = f"{await view(school, dsl, recorded)}/pieces?at=0&until=9000"
        before = pieces((await dsl.get(f"{at}&of=1.1,1.2")).content)
        after = pieces((await dsl.get(f"{at}&of=1.1.{before[0].following}")).content)
    assert (before[0].following, before[0].begins, before[0].missing) == (3, listed[3].t_first, listed[2].t_first)
    assert before[0].body.count(b"\x1f\x43\xb6\x75") == 2
    assert before[1].missing == OVER, "only that piece of that track"
    assert after[0].missing == OVER
    assert after[0].body.startswith(b"\x1f\x43\xb6\x75")


async def test_a_seek_begins_where_the_picture_stands_alone_and_ends_where_asked(school: Running, recorded: Recorded) -> None:
    with File(recorded.begun.path, recorded.begun.key) as file:
        listed = file.clusters(1)
    async with await school.signed_in("dsl") as dsl:
        at = await view(school, dsl, recorded)
        found = pieces((await dsl.get(f"{at}/pieces?of=1.1&at=5900&until=6500")).content)[0]
        last = pieces((await dsl.get(f"{at}/pieces?of=1.1&at=23000&until=99000")).content)[0]
    start = max(number for number, each in enumerate(listed) if each.key and each.t_first <= 5900)
    assert found.following == next(number for number, each in enumerate(listed) if each.t_first >= 6500)
    assert found.body.count(b"\x1f\x43\xb6\x75") == found.following - start
    assert (last.following, last.begins) == (len(listed), OVER)


@pytest.mark.parametrize("of", ["", "1", "1.1.1.1", "1.-1", "a.b", "1.9", "2.1", "1.1,", ",".join(["1.1"] * 81), "١.١"])
async def test_a_track_that_is_not_there_is_not_found(school: Running, recorded: Recorded, of: str) -> None:
    async with await school.signed_in("dsl") as dsl:
        at = await view(school, dsl, recorded)
        assert (await dsl.get(f"{at}/pieces", params={"of": of, "at": 0, "until": 5000})).status_code == 404
        assert (await dsl.get(f"{at}/parts/1/tracks/1/pictures/0")).status_code == 404, "nothing was prepared yet"


async def test_beyond_the_end_there_is_nothing_to_fetch(school: Running, recorded: Recorded) -> None:
    async with await school.signed_in("dsl") as dsl:
        at = await view(school, dsl, recorded)
        found = pieces((await dsl.get(f"{at}/pieces?of=1.1.99999&at=0&until=5000")).content)[0]
        assert (found.begins, found.body) == (OVER, b"")
        assert (await dsl.get(f"{at}/pieces?of=1.1&at=-1&until=5000")).status_code == 422


async def test_a_lesson_that_is_still_recorded_cannot_be_watched(school: Running) -> None:
    recorded = await begin(school, [])
    capture = start(school, recorded)
    async with await school.signed_in("dsl") as dsl:
        assert "still being recorded" in (await dsl.get(recorded.page)).text
        assert (await dsl.post(recorded.page, data={"why": "flag"})).status_code == 409
    await finish(school, recorded, capture)


async def recording(school: Running) -> Recording:
    async with school.database.reading() as session:
        return (await session.exec(select(Recording))).one()


async def test_a_service_that_died_leaves_an_incomplete_recording_with_the_reason(school: Running) -> None:
    recorded = await begin(school, [])
    capture = start(school, recorded)
    await teach(school, recorded, capture)
    # As kill -9 leaves it: the file as it is, no seal, rows still open.
    capture._writer.abandon()
    capture._writer.join(10)
    capture._ended = True
    assert (await recording(school)).outcome == ""
    state = school.app.state
    assert await commands.recover(state.database, state.vault, state.clock) == 1
    found = await recording(school)
    assert (found.outcome, found.reason) == ("incomplete", "the service stopped")
    async with await school.signed_in("dsl") as dsl:
        at = await view(school, dsl, recorded)
        assert (await dsl.get(addresses(at)[3])).status_code == 200
        assert "This recording is incomplete: the service stopped." in (await dsl.get(at)).text
    assert await kinds(school, recorded) == ["RecordingStarted", "RecordingSealed", "RecordingEnded", "RecordingViewed"]


async def kinds(school: Running, recorded: Recorded) -> list[str]:
    async with school.database.reading() as session:
        rows = await session.exec(
            select(AuditLeaf.kind).where(AuditLeaf.subject_id == recorded.recording_id).order_by(col(AuditLeaf.seq))
        )
        return list(rows.all())


async def test_a_lesson_that_goes_on_after_that_is_one_recording_on_one_clock(school: Running) -> None:
    first = await begin(school, [])
    start(school, first)._writer.abandon()
    state = school.app.state
    school.clock.advance(30)
    await commands.recover(state.database, state.vault, state.clock)
    second = await begin(school, [])
    assert (second.recording_id, second.begun.header.part) == (first.recording_id, 2)
    assert second.begun.lesson_clock_start == first.begun.lesson_clock_start
    assert second.begun.key != first.begun.key
    capture = start(school, second)
    await finish(school, second, capture)
    found = await recording(school)
    assert (found.outcome, found.reason) == ("incomplete", "the service stopped")


async def test_the_keys_row_is_there_before_the_first_byte(school: Running) -> None:
    recorded = await begin(school, [])
    assert not recorded.begun.path.exists()
    async with school.database.reading() as session:
        key = (await session.exec(select(RecordingKey))).one()
    assert key.name == key_id(recorded.begun.key)
    assert school.app.state.vault.open(recorded.school_id, recorded.recording_id, 1, recorded.kept_until) == recorded.begun.key


async def test_a_recording_that_was_destroyed_stays_provable_and_cannot_be_watched(
    school: Running, recorded: Recorded
) -> None:
    from recordings import proof
    from recordings.ending import destruction

    state = school.app.state
    async with await school.signed_in("dsl") as dsl:
        at = await view(school, dsl, recorded)
        async with school.database.writing() as session:
            await destruction.begin(
                session, system(recorded.school_id), recording_id=recorded.recording_id, why="its time was over",
                now=school.clock.now(),
            )
        assert await destruction.finish(state.database, state.vault, state.clock, recorded.school_id) == 1
        assert (await dsl.get(addresses(at)[2])).status_code == 404
        assert (await dsl.post(recorded.page, data={"why": "flag"})).status_code == 409
        assert "This recording was destroyed." in (await dsl.get(recorded.page)).text
    async with school.database.reading() as session:
        tombstone = (await session.exec(select(RecordingKey))).one()
        assert (tombstone.name, tombstone.destroyed_why) == (key_id(recorded.begun.key), "its time was over")
        assert await proof.verify(session, state.vault) == []
    assert not recorded.begun.path.parent.exists()
    recorded.begun.path.parent.mkdir()
    recorded.begun.path.write_bytes(b"left")
    async with school.database.reading() as session:
        found = await proof.verify(session, state.vault)
    assert "its data is still there" in found[0], "negative control: what is left is found"


async def test_it_is_kept_as_long_as_the_profile_says(school: Running, recorded: Recorded) -> None:
    found = await recording(school)
    assert found.kept_until == found.ends_at.date() + timedelta(days=30)
    async with await school.signed_in("dsl") as dsl:
        assert "Kept until" in (await dsl.get("/recordings")).text


async def test_a_part_is_sealed_once(school: Running, recorded: Recorded) -> None:
    async with school.database.reading() as session:
        part = (await session.exec(select(RecordingPart))).one()
    from recordings.reader import read_manifest
    from service.foundation.errors import Conflict

    manifest = read_manifest(part.manifest.encode())
    assert manifest
    with pytest.raises(Conflict):
        async with school.database.writing() as session:
            await commands.seal_part(session, system(recorded.school_id), manifest, now=school.clock.now())
