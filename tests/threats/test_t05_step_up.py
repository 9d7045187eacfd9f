"""T5: an adult confirms, as somebody else or a second time, what needs a leader's own proof for exactly that.

Every attack goes for the same prize over HTTP: the governor's role becomes another. Beside each stands its negative control:
with that one guard taken out, the same attack gets the prize.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from hashlib import sha256
from typing import Any

import httpx
import pytest
import webauthn
from sqlalchemy import text as text_clause
from sqlalchemy.exc import DatabaseError
from sqlmodel import select

from service.people import (
    actions,
    challenges,
    commands,
    factors,
    hashing,
    one_time_codes,
    passkeys,
    queries,
    rules,
    sign_in,
    step_up,
)
from service.people.tables import Passkey, PersonRole, StepUpGrant
from tests.authenticator import Authenticator, text
from tests.proofs import PASSWORD, action_of, add_passkey, challenge_for, code, give_codes, with_passkey
from tests.school import Running

PRIZE = {"roles": ["dpo"]}
Attack = Callable[[Running], Awaitable[None]]


def path(school: Running) -> str:
    return f"/people/{school.person('governor')}/roles"


async def won(school: Running) -> bool:
    async with school.database.reading() as session:
        held = (await session.exec(select(PersonRole.role).where(PersonRole.person_id == school.person("governor")))).all()
    return set(held) == {"dpo"}


async def asked(client: httpx.AsyncClient, school: Running, form: dict[str, Any] = PRIZE) -> str:
    """The hash that the page asks to confirm."""
    return action_of(await client.post(path(school), data=form))


async def send(client: httpx.AsyncClient, school: Running, **fields: str) -> httpx.Response:
    return await client.post(path(school), data={**PRIZE, **{f"step_up_{name}": value for name, value in fields.items()}})


async def undo(school: Running) -> None:
    """The governor is a governor again, as if it had never been confirmed."""
    governor = school.person("governor")
    async with school.database.writing() as session:
        [held] = (await session.exec(select(PersonRole).where(PersonRole.person_id == governor))).all()
        await session.delete(held)
        session.add(PersonRole(person_id=governor, role="governor", school_id=held.school_id))


# -- with a passkey's answer ------------------------------------------------------------------------------------------


async def replayed_answer(school: Running) -> None:
    """Somebody who recorded the leader's request sends it again."""
    client, _, key = await with_passkey(school, "headteacher", counts=False)
    action = await asked(client, school)
    answer = key.get(await challenge(client, action))
    assert (await send(client, school, action=action, assertion=answer)).status_code == 303
    await undo(school)
    await send(client, school, action=action, assertion=answer)


async def challenge(client: httpx.AsyncClient, action: str) -> dict[str, Any]:
    found: dict[str, Any] = (await client.post("/step-up/challenge", data={"action": action})).json()
    return found


async def answer_for_another_action(school: Running) -> None:
    """The leader is shown something harmless, and the answer is sent for something else."""
    client, _, key = await with_passkey(school, "headteacher")
    harmless = actions.Action("watch", "watch a recording", {"recording_id": "1"})
    answer = key.get(await challenge_for(client, harmless))
    await send(client, school, action=await asked(client, school), assertion=answer)


async def answer_on_another_site(school: Running) -> None:
    """A page at another address passes our challenge on."""
    client, _, key = await with_passkey(school, "headteacher")
    key.origin = "https://chaperone.evil.example"
    action = await asked(client, school)
    await send(client, school, action=action, assertion=key.get(await challenge(client, action)))


async def answer_for_another_site(school: Running) -> None:
    client, _, key = await with_passkey(school, "headteacher")
    key.rp_id = "evil.example"
    action = await asked(client, school)
    await send(client, school, action=action, assertion=key.get(await challenge(client, action)))


async def answer_without_its_owner(school: Running) -> None:
    """Whoever found the security key presses it: nobody gave a finger, a face or a PIN."""
    client, _, key = await with_passkey(school, "headteacher")
    key.is_verified = False
    action = await asked(client, school)
    await send(client, school, action=action, assertion=key.get(await challenge(client, action)))


async def answer_of_a_copy(school: Running) -> None:
    """The key was copied; its owner has used it since. (A count that goes back is refused by the database as well.)"""
    client, _, key = await with_passkey(school, "headteacher")
    thief = key.copy()
    used = await client.post("/account/passkeys/add", data={
        "step_up_action": (action := action_of(await client.post("/account/passkeys/add"))),
        "step_up_assertion": key.get(await challenge(client, action))})
    assert used.status_code == 200
    action = await asked(client, school)
    await send(client, school, action=action, assertion=thief.get(await challenge(client, action)))


async def answer_of_somebody_else(school: Running) -> None:
    """A teacher at the leader's unlocked laptop answers with a passkey of their own."""
    client, _, _ = await with_passkey(school, "headteacher")
    _, _, own = await with_passkey(school, "teacher")
    own.user = ""
    action = await asked(client, school)
    await send(client, school, action=action, assertion=own.get(await challenge(client, action)))


async def answer_to_a_challenge_of_another_session(school: Running) -> None:
    """The leader answers on their own computer; the answer is used in a session that somebody else opened."""
    client, _, key = await with_passkey(school, "headteacher")
    stolen = await school.signed_in("headteacher")
    answer = key.get(await challenge(client, await asked(client, school)))
    await send(stolen, school, action=await asked(stolen, school), assertion=answer)


async def answer_kept_for_later(school: Running) -> None:
    client, _, key = await with_passkey(school, "headteacher")
    action = await asked(client, school)
    answer = key.get(await challenge(client, action))
    school.clock.advance(60)
    await send(client, school, action=action, assertion=answer)


async def answer_to_an_invented_challenge(school: Running) -> None:
    """Whoever once had the key in their hands made answers for later, to challenges of their own."""
    client, actor, key = await with_passkey(school, "headteacher")
    action, nonce = await asked(client, school), "0" * 32
    value = sha256("\0".join(("chaperone", "step-up", nonce, actor.session_id, action)).encode()).digest()
    invented = {"ticket": f"{nonce}.{int(school.clock.now().timestamp()) + 60}.{'0' * 64}",
                "publicKey": {"rpId": "localhost", "challenge": text(value)}}
    await send(client, school, action=action, assertion=key.get(invented))


# -- with a password and a code ---------------------------------------------------------------------------------------


async def code_used_twice(school: Running) -> None:
    """Somebody looked over the leader's shoulder while they confirmed something else."""
    client = await school.signed_in("headteacher")
    await give_codes(school, school.person("headteacher"))
    seen = code(school)
    harmless = action_of(await client.post("/account/passkeys/add"))
    used = await client.post("/account/passkeys/add", data={
        "step_up_action": harmless, "step_up_password": PASSWORD, "step_up_code": seen})
    assert "Make the passkey" in used.text
    await send(client, school, action=await asked(client, school), password=PASSWORD, code=seen)


# -- with a grant -----------------------------------------------------------------------------------------------------


async def _grant(school: Running, form: dict[str, Any] = PRIZE) -> tuple[step_up.Actor, step_up.Proof, actions.Action]:
    """What a good proof of the headteacher earned for the prize, before it is used."""
    client, actor, key = await with_passkey(school, "headteacher")
    action = rules.role_action(school.person("governor"), "", frozenset({rules.Role.GOVERNOR}),
                               frozenset(rules.Role(role) for role in form["roles"]))
    proof = await step_up.by_passkey(school.app.state, actor, action.hash, key.get(await challenge_for(client, action)))
    assert proof.grant_id
    return actor, proof, action


async def take(school: Running, actor: step_up.Actor, proof: step_up.Proof) -> None:
    async with school.database.writing() as session:
        await commands.change_roles(session, actor, school.person("governor"), frozenset({rules.Role.DPO}), proof,
                                    school.clock.now())


async def grant_used_twice(school: Running) -> None:
    actor, proof, _ = await _grant(school)
    await take(school, actor, proof)
    await undo(school)
    await take(school, actor, proof)


async def grant_in_another_session(school: Running) -> None:
    actor, proof, _ = await _grant(school)
    await take(school, replace(actor, session_id="0" * 32), proof)


async def grant_of_another_person(school: Running) -> None:
    actor, proof, _ = await _grant(school)
    await take(school, replace(actor, person_id=school.person("senior_leader")), proof)


async def grant_for_another_action(school: Running) -> None:
    actor, proof, _ = await _grant(school, {"roles": ["chair"]})
    await take(school, actor, proof)


async def grant_kept_for_later(school: Running) -> None:
    actor, proof, _ = await _grant(school)
    school.clock.advance(60)
    await take(school, actor, proof)


async def no_proof_at_all(school: Running) -> None:
    client, actor, _ = await with_passkey(school, "headteacher")
    await send(client, school, action=await asked(client, school))
    await take(school, actor, step_up.Proof())


# -- by resetting somebody's account ----------------------------------------------------------------------------------


async def link_of(school: Running, role: str, whose: str) -> str:
    async with school.database.writing() as session:
        maker = await queries.actor(session, school.person(role))
        assert maker is not None
        return await commands.make_reset(session, maker, school.person(whose), school.clock.now())


async def enter_by_link(school: Running, role: str) -> httpx.AsyncClient:
    """Make a link for the headteacher, and use it oneself."""
    client = school.client()
    await client.post(f"/reset/{await link_of(school, role, 'headteacher')}", data={"password": PASSWORD})
    return client


async def prove_with_something_new(school: Running, client: httpx.AsyncClient) -> None:
    key = Authenticator()
    if (await add_passkey(school, client, key)).status_code == 303:
        action = await asked(client, school)
        await send(client, school, action=action, assertion=key.get(await challenge(client, action)))


async def leader_resets_the_headteacher_and_confirms_as_them(school: Running) -> None:
    """The headteacher has no second factor yet: the link alone opens the account."""
    await prove_with_something_new(school, await enter_by_link(school, "senior_leader"))


async def office_resets_the_headteacher_and_confirms_as_them(school: Running) -> None:
    client = await enter_by_link(school, "office")
    await prove_with_something_new(school, client)


async def link_past_the_second_factor(school: Running) -> None:
    """The headteacher has codes. The leader who made the link signs in, and uses a code that they saw."""
    await give_codes(school, school.person("headteacher"))
    client = await enter_by_link(school, "senior_leader")
    page = await client.post(path(school), data=PRIZE)
    if "step_up_action" in page.text:
        await send(client, school, action=action_of(page), password=PASSWORD, code=code(school))


async def both_halves_by_one_person(school: Running) -> None:
    """A leader removes the headteacher's factors, then makes the link, and waits a day."""
    await with_passkey(school, "headteacher")
    leader, _, key = await with_passkey(school, "senior_leader")
    removal = f"/people/{school.person('headteacher')}/factors/reset"
    action = action_of(await leader.post(removal))
    done = await leader.post(removal, data={
        "step_up_action": action, "step_up_assertion": key.get(await challenge(leader, action))})
    assert done.status_code == 303
    client = await enter_by_link(school, "senior_leader")
    key = Authenticator()
    await add_passkey(school, client, key)
    school.clock.advance(24 * 3600)
    await sign_in_with(client, key)
    action = await asked(client, school)
    await send(client, school, action=action, assertion=key.get(await challenge(client, action)))


async def sign_in_with(client: httpx.AsyncClient, key: Authenticator) -> None:
    given = (await client.post("/sign-in/passkey/challenge")).json()
    await client.post("/sign-in/passkey", data={"passkey": key.get(given)})


# -- the guards, and each attack without its own ------------------------------------------------------------------------


def unbound(part: int) -> Callable[[pytest.MonkeyPatch], None]:
    """Challenges that are not bound to the session (0) or to the action (1)."""
    def remove(patch: pytest.MonkeyPatch) -> None:
        new, behind = challenges.new, challenges.behind
        loose = lambda bound: tuple(each for at, each in enumerate(bound) if at != part)  # noqa: E731
        patch.setattr(challenges, "new", lambda pepper, purpose, bound, until: new(pepper, purpose, loose(bound), until))
        patch.setattr(challenges, "behind", lambda pepper, purpose, bound, ticket, now: behind(
            pepper, purpose, loose(bound), ticket, now))
    return remove


def unspent(patch: pytest.MonkeyPatch) -> None:
    async def spend(*_: object, **__: object) -> bool:
        return True

    patch.setattr(challenges, "spend", spend)


def believing(**claims: object) -> Callable[[pytest.MonkeyPatch], None]:
    """The library is told to expect what the answer says."""
    def remove(patch: pytest.MonkeyPatch) -> None:
        verify = webauthn.verify_authentication_response
        patch.setattr(webauthn, "verify_authentication_response", lambda **given: verify(**{**given, **claims}))
    return remove


def any_credential(patch: pytest.MonkeyPatch) -> None:
    async def named(session: Any, given: passkeys.Answer, person_id: str) -> Passkey | None:
        found = await session.exec(select(Passkey).where(Passkey.credential_id == given.credential["id"]))
        return found.first()  # type: ignore[no-any-return]

    patch.setattr(passkeys, "_named", named)


def unchecked(*names: str) -> Callable[[pytest.MonkeyPatch], None]:
    """The grant's rule without what `names` says: it is told that they fit."""
    def remove(patch: pytest.MonkeyPatch) -> None:
        real = actions.refusal

        def refusal(grant: actions.Grant, **given: Any) -> str:
            return real(replace(grant, **{name: FITTING[name](given) for name in names}), **given)
        patch.setattr(actions, "refusal", refusal)
    return remove


FITTING: dict[str, Callable[[dict[str, Any]], Any]] = {
    "person_id": lambda given: given["person_id"], "session_id": lambda given: given["session_id"],
    "action_hash": lambda given: given["action_hash"], "expires_at": lambda given: given["now"] + actions.REST,
}


def forgotten(patch: pytest.MonkeyPatch) -> None:
    """Grants whose use is not written down."""
    async def confirmed(session: Any, actor: step_up.Actor, action: actions.Action, proof: step_up.Proof, now: Any) -> str:
        row = await session.get_one(StepUpGrant, proof.grant_id)
        grant = actions.Grant(row.person_id, row.session_id, row.action_hash, row.expires_at, row.used_at is not None)
        own = {"person_id": actor.person_id, "session_id": actor.session_id}
        assert not actions.refusal(grant, **own, action_hash=action.hash, now=now)
        return proof.grant_id

    patch.setattr(step_up, "confirmed", confirmed)


def never_asked(patch: pytest.MonkeyPatch) -> None:
    async def confirmed(*_: object) -> str:
        return ""

    patch.setattr(step_up, "confirmed", confirmed)


def endless(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(actions, "CHALLENGE_LASTS", actions.REST)


def no_rest(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(actions, "rests_until", lambda *, is_proven, is_live, now: now)


def any_resetter(patch: pytest.MonkeyPatch) -> None:
    """Without who-may-reset-whom, and without the rest that would catch it later."""
    patch.setattr(rules, "checked_reset", lambda *_: None)
    no_rest(patch)


def no_second_factor(patch: pytest.MonkeyPatch) -> None:
    async def wanted(*_: object) -> None:
        return None

    patch.setattr(sign_in, "_wanted", wanted)
    no_rest(patch)


def one_person_is_enough(patch: pytest.MonkeyPatch) -> None:
    async def agree(*_: object) -> None:
        return None

    patch.setattr(factors, "refuse_who_reset", agree)


def codes_forgotten(patch: pytest.MonkeyPatch) -> None:
    real = one_time_codes.matching_step
    patch.setattr(one_time_codes, "matching_step", lambda secret, typed, now, after: real(secret, typed, now, 0))


def unsigned(patch: pytest.MonkeyPatch) -> None:
    """Challenges for step-up that nobody signs: whoever knows how they are made makes them."""
    real = hashing.Pepper.challenge

    def challenge(pepper: hashing.Pepper, purpose: str, bound: tuple[str, ...], nonce: str, until: int) -> str:
        return f"{nonce}.{until}.{'0' * 64}" if purpose == step_up.PURPOSE else real(pepper, purpose, bound, nonce, until)

    patch.setattr(hashing.Pepper, "challenge", challenge)


ATTACKS: list[tuple[Attack, Callable[[pytest.MonkeyPatch], None]]] = [
    (replayed_answer, unspent),
    (answer_for_another_action, unbound(1)),
    (answer_on_another_site, believing(expected_origin="https://chaperone.evil.example")),
    (answer_for_another_site, believing(expected_rp_id="evil.example")),
    (answer_without_its_owner, believing(require_user_verification=False)),
    (answer_of_a_copy, lambda patch: patch.setattr(actions, "is_cloned", lambda *_: False)),
    (answer_of_somebody_else, any_credential),
    (answer_to_a_challenge_of_another_session, unbound(0)),
    (answer_kept_for_later, endless),
    (answer_to_an_invented_challenge, unsigned),
    (code_used_twice, codes_forgotten),
    (grant_used_twice, forgotten),
    (grant_in_another_session, unchecked("session_id")),
    (grant_of_another_person, unchecked("person_id")),
    (grant_for_another_action, unchecked("action_hash")),
    (grant_kept_for_later, unchecked("expires_at")),
    (no_proof_at_all, never_asked),
    (leader_resets_the_headteacher_and_confirms_as_them, no_rest),
    (office_resets_the_headteacher_and_confirms_as_them, any_resetter),
    (link_past_the_second_factor, no_second_factor),
    (both_halves_by_one_person, one_person_is_enough),
]
NAMES = [attack.__name__ for attack, _ in ATTACKS]


async def attacked(school: Running, attack: Attack) -> bool:
    """Whether the attack got the prize. What refuses it may do so loudly."""
    try:
        await attack(school)
    except (actions.NotConfirmed, rules.NotAllowed):
        return False
    return await won(school)


@pytest.mark.parametrize("attack", [attack for attack, _ in ATTACKS], ids=NAMES)
async def test_nobody_confirms_what_is_not_theirs_to_confirm(school: Running, attack: Attack) -> None:
    assert not await attacked(school, attack)


@pytest.mark.parametrize(("attack", "remove"), ATTACKS, ids=NAMES)
async def test_without_its_guard_the_same_attack_succeeds(school: Running, attack: Attack, monkeypatch: pytest.MonkeyPatch,
                                                          remove: Callable[[pytest.MonkeyPatch], None]) -> None:
    remove(monkeypatch)
    assert await attacked(school, attack)


# -- in the database ----------------------------------------------------------------------------------------------------

STATEMENTS = (
    "UPDATE step_up_grant SET used_at = NULL", "UPDATE step_up_grant SET action_hash = 'b'",
    "UPDATE step_up_grant SET person_id = (SELECT id FROM person LIMIT 1)", "DELETE FROM step_up_grant",
    "UPDATE passkey SET person_id = (SELECT id FROM person LIMIT 1)", "UPDATE passkey SET public_key = 'x'",
    "UPDATE passkey SET sign_count = 0", "DELETE FROM passkey",
)


@pytest.mark.parametrize("statement", STATEMENTS)
async def test_no_statement_gives_a_used_proof_back_or_a_passkey_away(school: Running, statement: str) -> None:
    actor, proof, _ = await _grant(school)
    await take(school, actor, proof)

    async def run() -> None:
        async with school.database.writing() as session:
            await session.exec(text_clause(statement))

    with pytest.raises(DatabaseError):
        await run()
