"""The room as a playbook: who comes, goes and asks; what is cut, told and written, in that order."""

from dataclasses import replace
from datetime import timedelta
from math import inf

import pytest

from lessons.live import effects as fx
from lessons.live import events as ev
from lessons.live import messages as m
from lessons.live.plan import Person, Plan
from lessons.live.seat import Seat
from lessons.live.supervision import Hold
from tests.room.stage import (
    ALI,
    BEA,
    EVERYONE,
    START,
    TEACHER,
    Stage,
    approved,
    facts,
    kinds,
    opened,
    plan_of,
    pupil,
)

CAMERA, SCREEN, MICROPHONE = fx.Source.CAMERA, fx.Source.SCREEN, fx.Source.MICROPHONE


def test_a_room_opens_for_all_at_once_after_a_second_of_unbroken_proof():
    stage = Stage().join("teacher", "ali").pass_time(5)
    assert stage.state("ali").room == "lobby"
    assert stage.room.reasons == (Hold.LONE_ADULT,)
    stage.join("bea").pass_time(1.0)
    assert not stage.room.is_open
    stage.pass_time(0.5)
    assert stage.room.is_open
    assert {stage.state(p).room for p in ("teacher", "ali", "bea")} == {"open"}


def test_an_opening_is_journalled_before_it_happens():
    stage = Stage(journalling=False).join("teacher", "ali", "bea").pass_time(3)
    assert stage.until == -inf
    assert stage.to_confirm == [1]
    made = stage.say(ev.OpeningJournalled(1))
    assert kinds(made) == ["Gate", "Show"]
    assert stage.boot < stage.until


def test_an_opening_that_was_overtaken_never_happens_and_the_journal_says_so():
    stage = Stage(journalling=False).join("teacher", "ali", "bea").pass_time(2)
    made = stage.drop("bea")
    assert "Journal" in kinds(made)
    stage.say(ev.OpeningJournalled(1))
    assert stage.until == -inf


def test_media_is_cut_before_anyone_is_told_and_then_it_is_journalled():
    stage = opened()
    stage.send("teacher", m.Camera(True))
    made = stage.drop("bea")
    assert kinds(made) == ["Gate", "Route", "Show", "Journal", "Journal"]
    assert made[0] == fx.Gate(-inf)
    assert stage.state("teacher").hold == ("lone-adult",)


def test_the_gate_shuts_by_itself_when_a_pupil_falls_silent():
    stage = opened().pass_time(1, silent=("bea",))
    last_heard = stage.boot - 1.0
    assert stage.until == last_heard + 2.0
    assert stage.delivers("teacher") == frozenset()  # nothing is sent, the lease alone is at stake
    stage.pass_time(1.25, silent=("bea",))
    assert stage.state("ali").room == "held"


def test_a_teacher_whose_page_is_frozen_protects_nobody_after_three_seconds_however_long_its_sound_goes_on():
    stage = opened()
    for _ in range(13):
        stage.boot += 0.25
        heard = dict.fromkeys(stage.connections, stage.boot)
        running = {person: at for person, at in heard.items() if person != "teacher"}
        stage.say(ev.Proved(media=heard, page=running, recorder=stage.boot, owner=stage.boot))
    assert stage.state("ali").room == "held"
    assert stage.state("ali").hold == ("no-adult",)


def test_a_lease_that_ran_out_unseen_is_a_hold_even_when_every_proof_is_back():
    stage = opened()
    stage.boot += 4
    stage.wall += timedelta(seconds=4)
    heard = dict.fromkeys(stage.connections, stage.boot)
    made = stage.say(ev.Proved(heard, heard, stage.boot, stage.boot))
    assert made[0] == fx.Gate(-inf)
    assert stage.state("teacher").hold == ("starting",)
    stage.pass_time(0.5)
    assert stage.room.is_open


def test_reopening_waits_a_moment_and_pupils_cameras_and_microphones_come_back_off():
    stage = opened()
    for person in ("teacher", "ali", "bea"):
        stage.send(person, m.Microphone(True))
    assert stage.delivers("ali") == {"teacher", "bea"}
    stage.pass_time(2.5, silent=("bea",)).pass_time(0.25)
    assert not stage.room.is_open
    stage.pass_time(0.5)
    assert stage.room.is_open
    assert stage.delivers("ali") == frozenset()
    assert stage.delivers("teacher") == {"ali", "bea"}


def test_the_newest_connection_of_a_person_wins_and_has_to_prove_itself():
    stage = opened()
    old = stage.connections["bea"]
    stage.join("bea")
    assert stage.hung_up[old] is fx.Close.REPLACED
    assert stage.told("bea", m.Ended) == [m.Ended("replaced")]
    assert not stage.room.is_open
    stage.pass_time(0.75)
    assert stage.room.is_open


@pytest.mark.parametrize(("other_lesson", "words"), [(False, "replaced"), (True, "elsewhere")])
def test_who_comes_into_another_room_protects_nobody_here_any_more(other_lesson: bool, words: str):
    stage = opened()
    old = stage.connections["bea"]
    made = stage.say(ev.CameElsewhere("bea", other_lesson))
    assert made[0] == fx.Gate(-inf)
    assert stage.hung_up[old] is fx.Close.REPLACED
    assert stage.told("bea", m.Ended) == [m.Ended(words)]
    stage.pass_time(2)
    assert stage.room.reasons == (Hold.LONE_ADULT,)


def test_one_child_on_three_devices_is_one_child():
    stage = Stage().join("teacher", "ali")
    for device in ("a", "b", "c"):
        stage.join("ali", device=device).pass_time(1.5)
    assert stage.room.reasons == (Hold.LONE_ADULT,)


def test_a_pupil_on_a_device_that_an_adult_used_here_never_counts_and_a_leader_is_told():
    stage = Stage().join("teacher", device="laptop").join("ali").join("bea", device="laptop").pass_time(3)
    assert stage.room.reasons == (Hold.LONE_ADULT,)
    assert "device-shared" in stage.alerts()
    stage.drop("teacher")
    stage.join("teacher", device="telephone").pass_time(3)
    assert stage.room.reasons == (Hold.LONE_ADULT,)


def test_two_accounts_of_staff_on_one_device_are_one_adult():
    stage = Stage().join("teacher", "assistant", device="laptop").join("ali").pass_time(3)
    assert stage.room.reasons == (Hold.LONE_ADULT,)


def test_two_pupils_on_one_device_are_one_child():
    stage = Stage().join("teacher").join("ali", "bea", device="tablet").pass_time(3)
    assert stage.room.reasons == (Hold.LONE_ADULT,)


def test_in_the_waiting_room_there_is_no_channel_and_no_pupils_name():
    stage = Stage().join("teacher", "ali").pass_time(1)
    stage.send("teacher", m.Microphone(True))
    stage.send("ali", m.Chat("1", "hello"))
    stage.send("ali", m.Hand(True))
    assert stage.routes == {}
    assert [p.person for p in stage.state("teacher").people] == ["teacher"]
    assert stage.state("ali").waiting == m.Waiting(1, 1, 2, True)
    assert stage.told("ali", m.ChatRefused) == [m.ChatRefused("1", "paused")]
    assert stage.told("teacher", m.ChatMessage) == []
    assert stage.told("ali", m.Refused)[0].code == "paused"


def test_staff_get_everything_pupils_get_staff_and_each_others_voices():
    stage = opened("teacher", "assistant", "ali", "bea", "signer", "speaker")
    for person in stage.connections:
        stage.send(person, m.Microphone(True))
        stage.send(person, m.Camera(True))
    everyone = set(stage.connections)
    assert stage.delivers("teacher", CAMERA) == everyone - {"teacher"}
    assert stage.delivers("ali", MICROPHONE) == everyone - {"ali"}
    assert stage.delivers("ali", CAMERA) == {"teacher", "assistant", "signer"}
    assert stage.delivers("bea", CAMERA) == {"teacher", "assistant"}
    assert stage.delivers("signer", CAMERA) == {"teacher", "assistant", "ali"}
    assert stage.delivers("speaker", CAMERA) == everyone - {"speaker"}


def test_pupils_see_each_other_only_where_the_profile_says_so():
    stage = opened(plan=plan_of(pupils_see_each_other=True))
    stage.send("ali", m.Camera(True))
    assert stage.delivers("ali", CAMERA) == {"teacher", "bea"}


def test_staff_see_a_pupils_screen_first_and_then_show_it_to_the_class():
    stage = opened()
    stage.send("ali", m.Share(True))
    assert stage.told("ali", m.Refused)[-1].code == "not-allowed"
    stage.send("teacher", m.AllowShare("ali"))
    stage.send("ali", m.Share(True))
    assert stage.delivers("ali", SCREEN) == {"teacher"}
    assert stage.state("bea").presenter is None
    stage.send("teacher", m.ShowShare("ali"))
    assert stage.delivers("ali", SCREEN) == {"teacher", "bea"}
    assert stage.state("bea").presenter == "ali"
    stage.send("teacher", m.Share(True))
    assert stage.delivers("ali", SCREEN) == frozenset()
    assert stage.state("bea").presenter == "teacher"


def test_a_stopped_camera_stays_off_through_a_reconnect_until_staff_allow_it():
    stage = opened("teacher", "ali", "bea", "cal")
    stage.send("ali", m.Camera(True))
    stage.send("teacher", m.StopCamera("ali"))
    assert stage.told("ali", m.Changed) == [m.Changed("camera_stopped", "Teacher", "camera")]
    stage.join("ali").pass_time(1)
    stage.send("ali", m.Camera(True))
    assert stage.told("ali", m.Refused)[-1].code == "camera-stopped"
    assert stage.delivers("ali", CAMERA) == frozenset()
    stage.send("teacher", m.AllowCamera("ali"))
    stage.send("ali", m.Camera(True))
    assert stage.delivers("ali", CAMERA) == {"teacher"}


def test_nobody_can_switch_on_the_microphone_of_another():
    stage = opened()
    stage.send("ali", m.Microphone(True))
    stage.send("teacher", m.Mute(None))
    assert stage.delivers("ali") == frozenset()
    stage.send("teacher", m.AskToUnmute("ali"))
    assert stage.told("ali", m.Asked) == [m.Asked("microphone", "Teacher")]
    assert stage.delivers("ali") == frozenset()


def test_who_was_removed_cannot_come_back_into_this_lesson():
    stage = opened("teacher", "ali", "bea", "cal")
    stage.send("teacher", m.Remove("ali", "unkind"))
    assert stage.told("ali", m.Ended) == [m.Ended("removed")]
    stage.join("ali")
    assert "ali" not in stage.connections
    assert set(stage.hung_up.values()) == {fx.Close.REMOVED}
    assert facts(stage.journal("removed")[0]) == {"by": "teacher"}


def test_pupils_moderate_nobody():
    stage = opened()
    for message in (m.Mute("bea"), m.Remove("bea", "x"), m.End(), m.SetChat(False), m.Stop("x"), m.Extend(5), m.Flag()):
        before = stage.room.phase
        stage.send("ali", message)
        assert stage.told("ali", m.Refused)[-1].code == "not-allowed"
        assert stage.room.phase == before


def test_hands_are_kept_in_order():
    stage = opened()
    stage.send("bea", m.Hand(True))
    stage.send("ali", m.Hand(True))
    order = {p.person: p.hand for p in stage.state("teacher").people if p.hand}
    assert sorted(order, key=order.__getitem__) == ["bea", "ali"]
    stage.send("teacher", m.LowerHand("bea"))
    assert [p.person for p in stage.state("ali").people if p.hand] == ["ali"]


def test_chat_reaches_everybody_and_the_sender_knows_its_own():
    stage = opened()
    stage.send("ali", m.Chat("mine", "Is it seven?"))
    assert [c.text for c in stage.told("bea", m.ChatMessage)] == ["Is it seven?"]
    assert [c.own for c in stage.told("ali", m.ChatMessage)] == ["mine"]
    assert [c.own for c in stage.told("teacher", m.ChatMessage)] == [None]


def test_a_listed_word_or_an_unknown_link_stays_with_staff_and_the_sender_is_told():
    stage = opened()
    stage.send("ali", m.Chat("1", "you B4D w0rd"))
    stage.send("ali", m.Chat("2", "look at evil . com"))
    stage.send("ali", m.Chat("3", "https://www.bbc.co.uk/bitesize"))
    assert [(c.own, c.reason, c.text) for c in stage.told("ali", m.ChatHeld)] == [("1", "word", None), ("2", "link", None)]
    assert [(c.text, c.reason) for c in stage.told("teacher", m.ChatHeld)] == [
        ("you B4D w0rd", "word"), ("look at evil . com", "link"),
    ]
    assert [c.text for c in stage.told("bea", m.ChatMessage)] == ["https://www.bbc.co.uk/bitesize"]
    assert stage.told("bea", m.ChatHeld) == []


def test_a_message_that_may_be_a_cry_for_help_reaches_safeguarding_at_once():
    stage = opened()
    stage.send("ali", m.Chat("1", "i w4nt to d!e"))
    assert [c.reason for c in stage.told("teacher", m.ChatHeld)] == ["word"]
    assert stage.told("bea", m.ChatMessage) == []
    assert stage.alerts() == ["chat-held"]


def test_chat_that_the_recording_did_not_take_is_not_delivered():
    stage = opened()
    stage.recording = False
    stage.send("ali", m.Chat("1", "hello"))
    assert stage.told("ali", m.ChatRefused) == [m.ChatRefused("1", "paused")]
    assert stage.told("teacher", m.ChatMessage) == []


def test_chat_is_off_when_staff_turn_it_off_and_has_a_pace():
    stage = opened()
    for n in range(6):
        stage.send("ali", m.Chat(str(n), "hi"))
    assert stage.told("ali", m.ChatRefused) == [m.ChatRefused("5", "too-fast")]
    stage.send("teacher", m.SetChat(False))
    stage.send("bea", m.Chat("b", "hi"))
    assert stage.told("bea", m.ChatRefused) == [m.ChatRefused("b", "off")]


def badges_made(by: str, *pupils: Person) -> Plan:
    return plan_of(*EVERYONE, *(replace(each, let_in_by=by) for each in pupils))


def test_a_pupil_whose_badge_the_only_adult_made_is_no_company():
    stage = Stage(badges_made("teacher", ALI, BEA)).join("teacher", "ali", "bea", "cal").pass_time(5)
    assert stage.room.reasons == (Hold.LONE_ADULT,)
    stage.join("dan").pass_time(1.5)
    assert stage.room.is_open, "two whose badges somebody else made"


def test_a_pupil_whose_badge_an_adult_made_is_company_beside_another_adult_for_as_long_as_that_one_is_there():
    stage = opened("teacher", "assistant", "ali", plan=badges_made("teacher", ALI, BEA)).join("bea").pass_time(1)
    assert stage.room.is_open
    stage.pass_time(1.75, silent=("assistant",))
    assert stage.room.is_open
    stage.pass_time(0.25, silent=("assistant",))
    assert stage.room.reasons == (Hold.LONE_ADULT,)


def test_a_leader_who_made_every_badge_and_looks_in_holds_nothing_whatever_becomes_of_their_page():
    stage = opened("teacher", "ali", "bea", plan=badges_made("leader", ALI, BEA)).join("leader")
    assert stage.room.is_open, "already in that turn"
    stage.pass_time(20, silent=("leader",))
    assert stage.room.is_open
    stage.pass_time(1).drop("teacher")
    assert stage.room.reasons == (Hold.LONE_ADULT,)
    stage.drop("leader")
    stage.join("assistant").pass_time(1)
    assert stage.room.is_open, "who made no badge is alone with nobody"


def links_made(**by: str) -> Plan:
    """A plan in which these adults came by a link of the last days, and who made it."""
    return plan_of(*(replace(each, let_in_by=by.get(each.id, "")) for each in EVERYONE))


@pytest.mark.parametrize("links", [
    {"assistant": "teacher"}, {"teacher": "assistant"}, {"teacher": "leader", "assistant": "leader"}])
@pytest.mark.parametrize("order", [("teacher", "assistant"), ("assistant", "teacher")])
def test_two_adults_who_may_be_one_person_are_no_company_for_one_pupil(links, order):
    stage = Stage(links_made(**links)).join(*order, "ali").pass_time(5)
    assert stage.room.reasons == (Hold.LONE_ADULT,)
    stage.join("bea").pass_time(1.5)
    assert stage.room.is_open, "two pupils protect each other"


def test_whoever_came_by_a_stranger_s_link_is_company():
    assert opened("teacher", "assistant", "ali", plan=links_made(teacher="office", assistant="technician")).room.is_open


def test_a_leader_who_made_an_adult_s_link_and_looks_in_holds_nothing():
    stage = opened("teacher", "assistant", "ali", plan=links_made(assistant="leader")).join("leader").pass_time(5)
    assert stage.room.is_open


def test_of_two_adults_who_may_be_one_person_whoever_is_there_supervises():
    """The headteacher made the teacher's link this week; the teacher's computer freezes in a class of two."""
    stage = opened("teacher", "leader", "ali", "bea", plan=links_made(teacher="leader")).pass_time(5, silent=("teacher",))
    assert stage.room.is_open


def test_three_adults_of_whom_each_may_be_another_are_one_whoever_is_heard_last():
    """The office made two of their links, and one of those two the third's."""
    plan = links_made(teacher="office", assistant="office", leader="teacher")
    stage = Stage(plan).join("assistant", "leader", "teacher", "ali").pass_time(5, step=0.1)
    assert stage.room.reasons == (Hold.LONE_ADULT,)
    assert stage.journal("held") == [], "it never opened between"


def test_a_forgotten_password_pauses_no_class():
    """The office made the pupils' badges and the teacher's new link, and is not there."""
    let_in = [replace(each, let_in_by="office") for each in EVERYONE if each.id in ("teacher", "ali", "bea")]
    assert opened("teacher", "ali", "bea", plan=plan_of(*EVERYONE, *let_in)).room.is_open


def test_a_pupil_whose_badge_an_adult_made_is_no_company_beside_whoever_may_be_that_adult():
    let_in = [replace(ALI, let_in_by="teacher"), replace(BEA, let_in_by="teacher")]
    other = replace(next(each for each in EVERYONE if each.id == "assistant"), let_in_by="teacher")
    stage = Stage(plan_of(*EVERYONE, *let_in, other)).join("teacher", "assistant", "ali", "bea").pass_time(5)
    assert stage.room.reasons == (Hold.LONE_ADULT,)


def test_an_approval_holds_for_the_adult_who_made_the_pupil_s_badge_too():
    plan = replace(badges_made("teacher", ALI), approvals=(approved("teacher", "ali"),))
    assert opened("teacher", "ali", plan=plan).room.is_open


def test_a_withdrawn_consent_keeps_out_that_child_alone():
    stage = opened("teacher", "ali", "bea", "cal")
    stage.send("ali", m.Microphone(True))
    stage.change(ALI, attend=False)
    assert stage.room.is_open
    assert stage.state("ali").hold == ("not-permitted",)
    assert stage.state("ali").people == ()
    assert "ali" not in [p.person for p in stage.state("bea").people]
    stage.send("teacher", m.Microphone(True))
    stage.send("teacher", m.Chat("1", "hello"))
    assert stage.delivers("teacher") == {"bea", "cal"}
    assert stage.delivers("ali") == frozenset()
    assert stage.told("ali", m.ChatMessage) == []


def test_a_withdrawn_camera_consent_takes_only_the_camera():
    stage = opened()
    stage.send("ali", m.Camera(True))
    stage.send("ali", m.Microphone(True))
    stage.change(ALI, camera=False)
    assert stage.told("ali", m.Changed) == [m.Changed("permission_ended", source="camera")]
    assert stage.delivers("ali", CAMERA) == frozenset()
    assert stage.delivers("ali") == {"teacher", "bea"}


def test_an_adult_whose_clearance_lapses_no_longer_protects():
    stage = opened()
    people = {**stage.plan.people, "teacher": replace(TEACHER, cleared=False)}
    made = stage.replan(replace(stage.plan, people=people))
    assert made[0] == fx.Gate(-inf)
    assert stage.state("ali").hold == ("no-adult",)


def test_an_approval_ends_to_the_second_and_does_not_start_again():
    stage = opened("teacher", "ali", plan=plan_of(approvals=(approved("teacher", "ali", minutes=2),)))
    stage.pass_time(60)
    assert stage.state("teacher").hold == ("approval-ended", "lone-adult")
    stage.wall = START
    stage.pass_time(5)
    assert stage.state("teacher").hold == ("approval-ended", "lone-adult")


def test_a_revoked_approval_shuts_the_room_in_the_turn_it_is_read():
    stage = opened("teacher", "ali", plan=plan_of(approvals=(approved("teacher", "ali"),)))
    made = stage.replan(replace(stage.plan, approvals=()))
    assert made[0] == fx.Gate(-inf)


def test_a_recorder_that_fails_holds_the_room_and_says_so():
    stage = opened()
    made = stage.say(ev.RecorderFailed("disk full"))
    assert made[0] == fx.Gate(-inf)
    assert stage.state("teacher").hold == ("not-recorded",)
    assert not stage.state("teacher").recording
    assert "recorder-failed" in stage.alerts()


def test_a_recorder_that_stalls_shuts_the_room_within_three_seconds():
    stage = opened()
    stage.recording = False
    stage.pass_time(2.75)
    assert stage.room.is_open
    stage.pass_time(0.25)
    assert stage.state("ali").hold == ("not-recorded",)


def test_people_are_warned_and_the_end_is_hard():
    stage = opened()
    stage.wall = START + timedelta(minutes=34, seconds=59)
    stage.pass_time(11 * 60, step=1.0)
    assert stage.told("ali", m.TimeLeft) == [m.TimeLeft(10), m.TimeLeft(5), m.TimeLeft(1), m.TimeLeft(0)]
    assert stage.finished == ""
    stage.pass_time(5 * 60, step=1.0)
    assert stage.finished == "time"
    assert stage.told("ali", m.Ended) == [m.Ended("time")]
    assert stage.until == -inf


def test_five_minutes_can_be_added_but_never_beyond_the_window():
    stage = opened()
    stage.send("teacher", m.Extend(5))
    assert stage.state("ali").ends_at == "2026-11-24T09:50:00Z"
    stage.send("teacher", m.Extend(5))
    assert stage.told("teacher", m.Refused)[-1].code == "no-extension"


def test_a_lesson_stopped_by_the_school_stays_stopped():
    stage = opened("teacher", "leader", "ali", "bea")
    made = stage.send("leader", m.Stop("unsafe"))
    assert made[0] == fx.Gate(-inf)
    stage.pass_time(3)
    assert stage.state("ali").hold == ("stopped-by-school",)


def test_a_lesson_that_the_school_stopped_does_not_open_and_is_over_with_its_time():
    stage = Stage().join("teacher", "leader", "ali", "bea")
    stage.send("leader", m.Stop("unsafe"))
    stage.pass_time(60, step=1.0)
    assert (stage.state("ali").room, stage.state("ali").hold) == ("lobby", ("stopped-by-school",))
    stage.wall = START + timedelta(minutes=49)
    stage.pass_time(60, step=1.0)
    assert stage.finished == "time"


def test_the_teacher_ends_it_from_the_waiting_room_and_from_a_pause_too():
    waiting, paused = Stage().join("teacher", "ali").pass_time(2), opened()
    paused.drop("bea")
    for stage, phase in ((waiting, "lobby"), (paused, "held")):
        assert stage.room.phase == phase
        stage.send("teacher", m.End())
        assert stage.finished == "ended-by-staff"


def test_the_end_for_everyone_sends_pupils_out_first_and_lets_nobody_in_again():
    stage = opened()
    made = stage.send("teacher", m.End())
    assert made[0] == fx.Gate(-inf)
    assert [e.person for e in made if isinstance(e, fx.Tell)][-1] == "teacher"
    assert stage.finished == "ended-by-staff"
    stage.join("cal")
    assert list(stage.hung_up.values())[-1] is fx.Close.ENDED


def test_a_leader_who_drops_in_is_seen_by_all():
    stage = opened()
    stage.join("leader")
    assert "leader" in [p.person for p in stage.state("ali").people]


@pytest.mark.parametrize("minutes", [3, 8])
def test_somebody_is_told_when_pupils_wait_and_no_teacher_comes_after_the_minutes_of_the_profile(minutes):
    plan = replace(plan_of(*EVERYONE), late_after=60.0 * minutes)
    stage = Stage(plan).join("ali", "bea").pass_time(60 * minutes - 10, step=1.0)
    assert stage.alerts() == []
    stage.pass_time(60, step=1.0)
    assert stage.alerts() == ["teacher-not-arrived"]


def test_the_register_follows_the_proofs_and_not_the_button():
    stage = Stage().join("teacher", "ali")
    assert stage.journal("joined") == []
    stage.pass_time(1)
    assert [e.person for e in stage.journal("joined")] == ["teacher", "ali"]
    stage.pass_time(11, silent=("ali",))
    assert [(e.person, e.facts["reason"]) for e in stage.journal("left")] == [("ali", "silent")]
    stage.pass_time(20, silent=("ali",))
    assert fx.Close.SILENT in stage.hung_up.values()
    assert len(stage.journal("left")) == 1


def test_who_is_beside_a_pupil_is_for_staff_and_never_counts():
    stage = Stage().join("teacher").join("ali", beside="sibling").pass_time(3)
    assert stage.room.reasons == (Hold.LONE_ADULT,)
    stage.join("bea").pass_time(1.5)
    assert {p.person: p.beside for p in stage.state("teacher").people}["ali"] == "sibling"
    assert {p.person: p.beside for p in stage.state("bea").people}["ali"] is None


def test_somebody_who_is_not_on_the_roster_is_not_admitted():
    stage = Stage(plan=plan_of(TEACHER, ALI, BEA))
    stage.join("cal")
    assert list(stage.hung_up.values()) == [fx.Close.NOT_ADMITTED]
    assert stage.room.seats == {}


def test_a_flag_saves_the_moment_and_nobody_else_in_the_room_sees_it():
    stage = opened()
    seen = len(stage.told("ali", object))
    stage.send("teacher", m.Flag("Seen", "something on the wall"))
    assert len(stage.told("ali", object)) == seen
    assert stage.told("teacher", m.Flagged) == [], "not before it is durable"
    [alert] = [each for each in stage.log if isinstance(each, fx.Alert)]
    assert alert.told == fx.Tell("teacher", m.Flagged(str(facts(stage.journal("flag")[0])["flag"])))
    assert "flag" in stage.alerts()


def test_a_wall_clock_set_forward_opens_nothing():
    stage = Stage(wall=START - timedelta(minutes=5)).join("teacher", "ali", "bea").pass_time(2)
    assert stage.state("ali").hold == ("outside-window",)
    stage.wall += timedelta(minutes=10)
    stage.pass_time(2)
    assert stage.state("ali").hold == ("outside-window",)
    stage.pass_time(300, step=1.0)
    assert stage.room.is_open


def test_a_pupil_without_a_camera_permission_has_no_camera():
    stage = opened(plan=plan_of(TEACHER, pupil("ali", camera=False), BEA))
    stage.send("ali", m.Camera(True))
    assert stage.told("ali", m.Refused)[-1].code == "not-permitted"
    assert "camera" not in stage.told("ali", m.Welcome)[0].you.may


def test_nothing_that_somebody_proved_before_counts_after_they_went_or_came_again():
    """A proof kept by mistake would hold a room open for somebody who is gone, or not yet there (policy: RL1)."""
    seat = Seat(ALI)
    for change in (seat.stand, lambda: seat.sit("again", "tablet", "", 5.0)):
        seat.sit("first", "tablet", "", 1.0)
        seat.media_at = seat.page_at = 4.0
        seat.arrived = True
        change()
        assert (seat.media_at, seat.page_at, seat.alive_until) == (-inf, -inf, -inf)
    assert seat.arrived is False
