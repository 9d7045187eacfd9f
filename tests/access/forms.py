"""What a form would send, so that a refusal is one of the person and not of the form. An address that is not here takes none."""

from typing import Any

from service.foundation.db import new_id
from service.foundation.events import Role
from tests.access.world import World

SECTIONS = ("what", "safe", "who", "no", "change", "legal")
TEXT = {"title": "Chat", **dict.fromkeys(SECTIONS, "Words"), **{f"{key}-heading": "Heading" for key in SECTIONS}}
JSON = ("door", "worried", "alone", "breakouts", "/api/v1/")


def body(world: World, method: str, path: str, relation: str, role: str) -> dict[str, Any]:
    """Arguments for the request: `data` for a form, `json` where pages send it, `params` for an address with a question."""
    if method == "GET":
        return {"params": _questions(world, path, relation)}
    given = _given(world, path, relation, role)
    is_json = any(word in path for word in JSON)
    if path.startswith("/api/v1/"):
        return {"json": given, "headers": {"Idempotency-Key": new_id()}}
    return {"json": given} if is_json else {"data": given}


def _questions(world: World, path: str, relation: str) -> dict[str, str]:
    if path == "/guests/ask":
        return {"lesson": world.value(path, "lesson_id", relation, "")}
    if path in ("/calls/new", "/calls/emergency"):
        return {"child": world.value(path, "child_id", relation, "")}
    if path.endswith("/pieces"):
        return {"of": "1.1", "at": "0", "until": "1000"}
    return {"wait": "false"} if path == "/banners" else {}


def _given(world: World, path: str, relation: str, role: str) -> dict[str, Any]:
    now = world.school.clock.now()
    day = f"{now.day}/{now.month}/{now.year}"
    pupil, teacher = world.people[Role.PUPIL], world.people[Role.TEACHER]
    cole = world.ids[("colleague", "person_id")]
    visited = world.value(path, "lesson_id", relation, "") if path == "/guests/ask" else ""
    forms: dict[str, dict[str, Any]] = {
        "/people/add": {"kind": "child", "given_name": "Ivo", "family_name": "Novak", "year_group": "5"},
        "/people/{person_id}/change": {"kind": "adult", "given_name": "Priya", "family_name": "Cole", "email": "p@example.org",
                                       "version": 1},
        "/people/{person_id}/roles": {"roles": ["teacher", "support"]},
        "/people/{child_id}/guardians": {"guardian_id": cole},
        "/guardians/changes/{change_id}": {"answer": "agree"},
        "/guardians/{link_id}": {"relationship": "aunt", "parental_responsibility": "no", "court_order": "yes",
                                 "do_not_contact": "yes", "lives_with": "no", "reason": "The court said so"},
        "/classes/add": {"name": "6 Yew", "key_stage": 2},
        "/classes/{group_id}/change": {"name": "2 Elm", "key_stage": 1, "pupils": [pupil], "teachers": [teacher]},
        "/dbs/{person_id}/add": {"number": "123456789012", "checked_on": "1/9/2026"},
        "/dbs/checks/{check_id}/withdraw": {"reason": "The police told us"},
        "/school/change": {"name": "Ashgrove", "office": "the office", "opens_at": "08:00", "closes_at": "17:00"},
        "/school/terms": {"term_name": "Later", "starts_on": "1/6/2027", "ends_on": "1/7/2027"},
        "/school/closures": {"day": "3/12/2026", "closure_name": "Snow"},
        "/school/rota": {"person_id": world.people[Role.DSL], "weekday": "6", "starts_at": "08:00", "ends_at": "09:00"},
        "/school/rules/changes/{change_id}": {"answer": "agree"},
        "/school/words": {"words": "rude", "links": "bbc.co.uk", "reason": "Asked by staff"},
        "/my-permissions/{purpose}": {"said": "no", "document_id": world.ids[("any", "document_id")]},
        "/permissions/children/{child_id}": {
            "respondent": world.people[Role.PARENT], "day": now.day, "month": now.month, "year": now.year, "route": "in_person",
            "camera": "no"},
        "/permissions/responses/{response_id}/mistake": {"note": "The form of another child"},
        "/permissions/children/{child_id}/objections": {"objector": world.people[Role.PARENT], "words": "Our faith"},
        "/permissions/children/{child_id}/differ": {"purpose": "camera", "reason": "They agree by now"},
        "/permissions/requests": {"purposes": ["camera"], "day": "1", "month": "12", "year": "2026"},
        "/permissions/texts/{purpose}/new": {"changed": "Clearer", "stands": "yes", "after": 1, **TEXT},
        "/permissions/texts/versions/{document_id}/{language}": TEXT,
        "/permissions/texts/languages/{text_id}": {"reviewer": "Mrs Jones"},
        "/permissions/objections/{objection_id}": {"upheld": "yes", "reason": "A strong reason"},
        "/permissions/agreements/remind": {"part": "staff"},
        "/permissions/agreements/{person_id}": {"day": now.day, "month": now.month, "year": now.year,
                                                "signed_by": world.people[Role.PARENT]},
        "/lessons/waiting/{lesson_id}": {"answer": "refuse", "reason": "Too long"},
        "/lessons/{lesson_id}/move": {"on-day": 25, "on-month": 11, "on-year": 2026, "start": "10:00", "length": "25"},
        "/lessons/{lesson_id}/cancel": {"because": "A burst pipe"},
        "/lessons/{lesson_id}/cover": {"person": world.people[Role.HEADTEACHER]},
        "/lessons/{lesson_id}/second": {"second": world.people[Role.HEADTEACHER]},
        "/lessons/{lesson_id}/links": {"url": "https://nrich.maths.org/more"},
        "/lessons/{lesson_id}/links/{link_id}/preview": {"looked": "yes"},
        "/live/{lesson_id}/stop": {"reason": "A burst pipe"},
        "/lessons/{lesson_id}/alone/ask": {"why": "The others had to go"},
        "/lessons/{lesson_id}/alone/invite": {"person": world.people[Role.HEADTEACHER]},
        "/lessons/{lesson_id}/breakouts": {"rooms": [{"name": "A", "adults": [teacher], "pupils": [pupil]}]},
        "/lessons/{lesson_id}/breakouts/move": {"person": pupil, "to": ""},
        "/attention/{attention_id}/clear": {"because": "Two siblings"},
        "/lessons/{lesson_id}/attendance/{person_id}": {"absent": "yes", "reason": "Was at the dentist"},
        "/one-to-one/in-force/{approval_id}": {"reason": "The family rang"},
        "/one-to-one/{request_id}": {"answer": "more", "reason": "Which room?"},
        "/one-to-one/{request_id}/spoken": {"talked": "yes", "spoken": "With the DSL"},
        "/one-to-one/{request_id}/second": {"person": cole},
        "/one-to-one/{request_id}/answer": {"words": "In the library"},
        "/guests/ask": {
            "lesson": visited, "kind": "speaker", "given_name": "Ann", "family_name": "Best", "purpose": "Talks about waves",
            "identity_note": "Seen by the office", "lessons": [visited], "first": day, "last": day},
        "/guests/{pass_id}": {"answer": "refuse", "reason": "Not now"},
        "/guests/{pass_id}/end": {"reason": "It is enough"},
        "/safeguarding/{alert_id}/notes": {"words": "Rang the school nurse"},
        "/safeguarding/{alert_id}/hand-over": {"to": world.people[Role.DEPUTY_DSL], "handing": "I am away"},
        "/safeguarding/{alert_id}/wait": {"waits_for": "The nurse rings back"},
        "/incidents/new": {"said": "What was seen"},
        "/incidents/{number}/entries": {"kind": "note", "words": "Spoke to them"},
        "/incidents/{number}/about": {"about_adult": "no"},
        "/concerns/new": {"what": "What was seen"},
        "/concerns/officer": {"name": "Mrs Best", "telephone": "01632 960001"},
        "/concerns/{number}/entries": {"kind": "note", "words": "Rang the nurse"},
        "/concerns/{number}/about": {"about_adult": "no"},
        "/concerns/{number}/export": {"receiver": "Mr Best", "organisation": "Case system", "key": "no key"},
        "/calls/new": {"child": world.value(path, "child_id", relation, "") if path == "/calls/new" else "",
                       "adult": world.people[Role.PARENT], "purpose": "welfare"},
        "/calls/{call_id}/record": {"outcome": "no-answer"},
        "/calls/emergency": {"child": world.value(path, "child_id", relation, "") if path == "/calls/emergency" else "",
                             "day": day, "at": "09:30", "words": "The line was down, and she was alone"},
        "/calls/phone": {"number": "07700 900777"},
        "/calls/phone/ask": {"why": "The laptop has no microphone", "until": day},
        "/calls/phones/{request_id}": {"answer": "refuse", "reason": "Use the computer"},
        "/calls/phones/{request_id}/end": {"because": "It is over"},
        "/calls/settings": {"number": "01632 960100", "shows": "shown"},
        "/people/{person_id}/contact": {"reason": "The family asked us"},
        "/lessons/{lesson_id}/absent/{child_id}": {"reason": "ill"},
        "/recordings/{lesson_id}/views/{view_id}/notes": {"at": "10:00:00", "text": "A door"},
        "/recordings/{lesson_id}/views/{view_id}/clips": {"from": "10:00:00", "to": "10:00:01", "reason": "A door"},
        "/safeguarding/marks": {"person": pupil, "mark": "do-not-tell", "reason": "Ask us"},
        "/safeguarding/marks/{mark_id}/lift": {"because": "It is over"},
        "/roles/headteacher": {"email": "cole@school.example"},
        "/roles/waiting/{request_id}": {"answer": "agree"},
        "/endings/{lesson_id}/keep": {"reason": "The police rang", "reference": "C-1", "review_on": "1/12/2026"},
        "/endings/{lesson_id}/answer": {"answer": "agree"},
        "/endings/{lesson_id}/erasure": {"asker": "parent", "reason": "She asks for it", "answer": "keep"},
        "/endings/{lesson_id}/erasure/answer": {"second": "refuse", "why": "It is needed"},
        "/endings/{lesson_id}/release": {"release_reason": "The case is closed"},
        "/endings/{lesson_id}/review": {"reason": "Still going on", "review_on": "1/12/2026"},
        "/endings/{lesson_id}/referral": {"referral": "Told the police", "reference": "C-1"},
        "/keys/recovery/{recipient_id}": {"answer": "agree"},
        "/recordings/{lesson_id}/ask": {"why": "flag", "words": "Who spoke?", "starts_at": "10:00", "ends_at": "10:05"},
        "/grants/{grant_id}": {"answer": "allow", "views": "1", "days": "3", "reason": "Agreed"},
        "/recordings/{lesson_id}": {"why": "flag", "concern": "C-17"},
        "/api/v1/invitations/open": {"token": "nothing", "code": "402117", "born_on": "2016-03-27"},
        "/api/v1/passkeys/register/begin": {"invitation": "nothing"},
        "/api/v1/me/language": {"language": "cy"},
        "/api/v1/agreement": {"agreement_id": "nothing", "agree": True, "name": "Somebody"},
        "/api/v1/push": {"endpoint": "https://push.example/x", "keys": {"p256dh": "x" * 87, "auth": "x" * 22}},
        "/api/v1/concerns": {"about": "this-app", "words": "It says too much", "reach": "app"},
        "/api/v1/children/{child_id}/consent": {
            "purpose": "chat", "says_yes": False, "document_id": world.ids[("any", "document_id")], "responsibility": "yes"},
        "/api/v1/children/{child_id}/data": {"limit_mb": 500},
        "/api/v1/children/{child_id}/one-to-ones/{lesson_id}": {
            "says_yes": False, "document_id": world.ids[("any", "document_id")], "responsibility": "yes"},
        "/step-up/challenge": {"action": "0" * 64},
    }
    return forms.get(path, {})
