"""Confirming what one decides: asked in the moment, for exactly that, with a passkey or a password and a code."""

import pytest
from sqlmodel import select

from service.foundation.audit import AuditLeaf
from service.people import actions, step_up
from service.people.actions import Action, NotConfirmed
from service.people.step_up import Proof
from service.people.tables import PersonRole, StepUpGrant
from tests.proofs import PASSWORD, action_of, code, confirmed_post, give_codes, proof, with_session
from tests.school import Running

ACTION = Action("approve", "approve it", {"request_id": "1", "version": 3})


async def use(school: Running, actor: step_up.Actor, action: Action, given: Proof) -> str:
    async with school.database.writing() as session:
        return await step_up.confirmed(session, actor, action, given, school.clock.now())


async def kinds(school: Running, *wanted: str) -> list[str]:
    async with school.database.reading() as session:
        found = (await session.exec(select(AuditLeaf.kind).order_by(AuditLeaf.seq))).all()
    return [kind for kind in found if kind in wanted]


async def test_a_password_and_a_code_confirm_one_action_once(school: Running) -> None:
    head = await with_session(school, "headteacher")
    given = await proof(school, head, ACTION)
    grant_id = await use(school, head, ACTION, given)
    async with school.database.reading() as session:
        grant = await session.get_one(StepUpGrant, grant_id)
    assert (grant.person_id, grant.action_hash, grant.method) == (head.person_id, ACTION.hash, "password")
    assert await kinds(school, "StepUpConfirmed") == ["StepUpConfirmed"]
    with pytest.raises(NotConfirmed, match="confirmed already"):
        await use(school, head, ACTION, given)


async def test_what_fails_afterwards_has_not_used_the_proof_up(school: Running) -> None:
    """The grant goes in the transaction of the change: both happen, or neither."""
    head = await with_session(school, "headteacher")
    given = await proof(school, head, ACTION)

    async def fail_after() -> None:
        async with school.database.writing() as session:
            await step_up.confirmed(session, head, ACTION, given, school.clock.now())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_after()
    assert await use(school, head, ACTION, given)


async def test_nothing_given_confirms_nothing(school: Running) -> None:
    head = await with_session(school, "headteacher")
    with pytest.raises(NotConfirmed, match="Show that it is you"):
        await use(school, head, ACTION, Proof())
    with pytest.raises(NotConfirmed, match="could not check"):
        await use(school, head, ACTION, Proof("an invented grant"))


@pytest.mark.parametrize(("password", "digits"), [("wrong", None), (PASSWORD, "000000"), (PASSWORD, ""), ("", None)])
async def test_a_wrong_password_or_code_changes_nothing_and_is_on_record(school: Running, password: str,
                                                                         digits: str | None) -> None:
    head = await with_session(school, "headteacher")
    await give_codes(school, head.person_id)
    given = await step_up.by_password(school.app.state, head, ACTION.hash, password, code(school) if digits is None else digits)
    with pytest.raises(NotConfirmed, match="We could not check it was you"):
        await use(school, head, ACTION, given)
    assert await kinds(school, "StepUpConfirmed", "StepUpRefused") == ["StepUpRefused"]


async def test_codes_cannot_be_guessed_for_long_and_open_again_after_a_while(school: Running) -> None:
    head = await with_session(school, "headteacher")
    await give_codes(school, head.person_id)
    state = school.app.state
    for _ in range(5):
        last = await step_up.by_password(state, head, ACTION.hash, PASSWORD, "000000")
    assert last.why == "locked"
    assert (await step_up.by_password(state, head, ACTION.hash, PASSWORD, code(school))).why == "locked"
    school.clock.advance(15 * 60)
    assert await use(school, head, ACTION, await step_up.by_password(state, head, ACTION.hash, PASSWORD, code(school)))


async def test_a_proof_is_over_after_a_minute(school: Running) -> None:
    head = await with_session(school, "headteacher")
    given = await proof(school, head, ACTION)
    school.clock.advance(actions.GRANT_LASTS.total_seconds())
    with pytest.raises(NotConfirmed, match="Confirm again"):
        await use(school, head, ACTION, given)


# -- on pages ---------------------------------------------------------------------------------------------------------


async def test_the_page_says_what_is_about_to_happen_and_carries_the_form_along(school: Running) -> None:
    head, person = await school.signed_in("headteacher"), school.person("governor")
    await give_codes(school, school.person("headteacher"))
    asked = await head.post(f"/people/{person}/roles", data={"roles": ["governor", "dpo"]})
    assert asked.status_code == 200
    assert "You are about to change the roles of Alan Pike: give Data Protection Officer." in asked.text
    assert asked.text.count('name="roles"') == 2
    assert 'name="step_up_password"' in asked.text


async def test_a_wrong_code_shows_the_page_again_and_nothing_has_changed(school: Running) -> None:
    head, person = await school.signed_in("headteacher"), school.person("governor")
    await give_codes(school, school.person("headteacher"))
    form = {"roles": ["dpo"]}
    asked = await head.post(f"/people/{person}/roles", data=form)
    again = await head.post(f"/people/{person}/roles", data={
        **form, "step_up_action": action_of(asked), "step_up_password": PASSWORD, "step_up_code": "12"})
    assert again.status_code == 422
    assert "We could not check it was you. Nothing has changed." in again.text
    assert await roles(school, person) == {"governor"}


async def test_who_has_nothing_to_prove_themselves_with_is_told_where_to_get_it(school: Running) -> None:
    head = await school.signed_in("headteacher")
    asked = await head.post(f"/people/{school.person('governor')}/roles", data={"roles": ["dpo"]})
    assert "Add a passkey or one-time codes" in asked.text
    assert 'name="step_up_password"' not in asked.text


async def test_a_form_that_was_changed_after_it_was_confirmed_is_refused(school: Running) -> None:
    head, person = await school.signed_in("headteacher"), school.person("governor")
    asked = await head.post(f"/people/{person}/roles", data={"roles": ["dpo"]})
    await give_codes(school, school.person("headteacher"))
    changed = await head.post(f"/people/{person}/roles", data={
        "roles": ["support"], "step_up_action": action_of(asked), "step_up_password": PASSWORD, "step_up_code": code(school)})
    assert changed.status_code == 422
    assert "This has changed since you opened it" in changed.text
    assert await roles(school, person) == {"governor"}
    school.clock.advance(30)
    sent = await confirmed_post(school, head, school.person("headteacher"), f"/people/{person}/roles", {"roles": ["support"]})
    assert sent.status_code == 303
    assert await roles(school, person) == {"support"}


async def roles(school: Running, person_id: str) -> set[str]:
    async with school.database.reading() as session:
        return set((await session.exec(select(PersonRole.role).where(PersonRole.person_id == person_id))).all())


async def test_a_challenge_is_only_for_people_who_confirm_things(school: Running) -> None:
    for role, status in (("headteacher", 200), ("teacher", 200), ("pupil", 404), ("parent", 404)):
        client = await school.signed_in(role)
        assert (await client.post("/step-up/challenge", data={"action": "a" * 64})).status_code == status, role
    assert (await school.client().post("/step-up/challenge", data={"action": "a" * 64})).status_code == 303
