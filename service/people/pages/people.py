"""People: the list, one person, adding and changing them, their roles, guardians and leaving."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response
from pydantic import BaseModel

from service.foundation.errors import Conflict, Invalid, NotAllowed
from service.foundation.events import LEADERS, SAFEGUARDING, Actor, Role
from service.foundation.web import Audience, Closing, Now, Reading, Writing, render, see_other
from service.people import commands, guardianships, power, queries, registers, rules, step_up
from service.people.pages.forms import form_again, saved
from service.people.step_up import Confirming, NotConfirmed

router = APIRouter()
READERS = frozenset({Role.OFFICE, Role.TECHNICIAN}) | LEADERS | SAFEGUARDING
Reader = Annotated[Actor, Depends(Audience(READERS))]
Office = Annotated[Actor, Depends(Audience(Role.OFFICE))]
Keeper = Annotated[Actor, Depends(Audience(frozenset({Role.OFFICE}) | LEADERS | SAFEGUARDING))]
Granter = Annotated[Actor, Depends(Audience(frozenset({Role.OFFICE}) | LEADERS))]
SHOWN = 100


@router.get("/people")
async def show_list(request: Request, actor: Reader, session: Reading, q: str = "", kind: str = "", group: str = "",
                    left: str = "") -> Response:
    found = await registers.search(session, actor, words=q, kind=kind, group_id=group, left=left == "yes")
    everybody = actor.is_any(registers.SEES_EVERYBODY)
    return await render(
        request, "people/list.html", title="People", found=found[:SHOWN], total=len(found), q=q, kind=kind, group=group,
        left=left, may_add=actor.is_any(frozenset({Role.OFFICE}) | LEADERS),
        groups=await registers.groups(session, actor.school_id) if everybody else [], everybody=everybody,
        waiting=len(await registers.waiting_changes(session, actor.school_id)) if everybody else 0,
        roles_waiting=len(await power.waiting(session, actor.school_id)) if actor.is_any(rules.POWERFUL) else 0,
    )


class PersonForm(BaseModel):
    """What the form sends: words, which `fields` reads."""

    kind: str = "child"
    title: str = ""
    given_name: str = ""
    family_name: str = ""
    preferred_name: str = ""
    email: str = ""
    born_on: str = ""
    year_group: str = ""
    external_id: str = ""
    roles: list[str] = []
    group: str = ""
    version: int = 0

    def fields(self, kept_email: str | None = None) -> rules.PersonFields:
        born_on = rules.read_day(self.born_on)
        if self.born_on.strip() and born_on is None:
            raise Invalid(fields={"born_on": "Enter a date like 27/3/2016"})
        words = {name: " ".join(getattr(self, name).split())
                 for name in ("title", "given_name", "family_name", "preferred_name", "external_id")}
        return rules.PersonFields(
            kind=self.kind, given_name=words["given_name"], family_name=words["family_name"], title=words["title"],
            preferred_name=words["preferred_name"], email=self.email.strip().lower() or kept_email, born_on=born_on,
            year_group=self.year_group.strip().upper(), external_id=words["external_id"] or None,
        )

    def wanted(self) -> frozenset[Role]:
        if self.kind == "child":
            return frozenset({Role.PUPIL})
        return frozenset(Role(role) for role in self.roles if role in set(Role))


@router.get("/people/add")
async def add_form(request: Request, actor: Granter, session: Reading, guardian_of: str = "", kind: str = "") -> Response:
    form = PersonForm(kind="adult" if guardian_of else kind or "child", roles=[Role.PARENT] if guardian_of else [])
    return await _add_form(request, actor, session, form, guardian_of)


async def _add_form(request: Request, actor: Actor, session: Reading, form: PersonForm, guardian_of: str,
                    refusal: Invalid | NotAllowed | Conflict | None = None) -> Response:
    grantable = rules.grantable(actor, "", has_head=await queries.has_head(session, actor.school_id))
    context: dict[str, Any] = {
        "title": "Add a person", "form": form, "groups": await registers.groups(session, actor.school_id),
        "guardian_of": guardian_of, "roles": sorted(grantable - {Role.PUPIL}, key=list(Role).index),
    }
    if refusal:
        return await form_again(request, "people/add.html", refusal, **context)
    return await render(request, "people/add.html", errors=None, **context)


@router.post("/people/add")
async def add(request: Request, actor: Granter, session: Reading, proof: Confirming,
              form: Annotated[PersonForm, Form()], guardian_of: Annotated[str, Form()] = "") -> Response:
    async def write(writing: Writing) -> str:
        person_id = await commands.add_person(writing, actor, form.fields(), form.wanted(), proof)
        if form.group and form.kind == "child":
            await commands.join_group(writing, actor, form.group, person_id)
        return await guardianships.add(writing, actor, guardian_of, person_id) if guardian_of else person_id

    try:
        made = await saved(request, write)
    except NotConfirmed as refusal:
        action = rules.adding_action(form.fields(), form.wanted())
        return await step_up.ask(request, session, actor, action, refusal if proof.is_given else None)
    except (Invalid, NotAllowed, Conflict) as refusal:
        return await _add_form(request, actor, session, form, guardian_of, refusal)
    return see_other(f"/guardians/{made}" if guardian_of else f"/people/{made}")


@router.get("/people/{person_id}")
async def show(request: Request, actor: Reader, session: Reading, person_id: str) -> Response:
    page = await registers.person_page(session, actor, person_id)
    return await render(request, "people/person.html", title=page.person.full_name, page=page,
                        to_be=await power.waiting_for(session, person_id),
                        today=request.app.state.clock.now().date(), may=_may(actor, page))


def _may(actor: Actor, page: registers.PersonPage) -> frozenset[str]:
    """Which of the page's actions the actor's roles reach; the commands ask again."""
    here = {"change"} if Role.OFFICE in actor.roles else set()
    here |= {"roles"} if rules.grantable(actor, page.person.id) and not page.person.is_child else set()
    here |= {"guardians", "dbs"} if actor.is_any(frozenset({Role.OFFICE}) | LEADERS | SAFEGUARDING) else set()
    here |= {"badge"} if page.person.is_child and Role.OFFICE in actor.roles else set()
    here |= {"phones"} if Role.PARENT in page.person.roles and Role.OFFICE in actor.roles else set()
    here |= {"reset"} if page.has_email and actor.is_any(rules.RESETTERS) and actor.person_id != page.person.id else set()
    here |= {"factors"} if rules.may_reset_factors(actor, page.person.id, page.person.roles) else set()
    here |= {"leave"} if actor.is_any(frozenset({Role.OFFICE}) | LEADERS) and actor.person_id != page.person.id else set()
    return frozenset(here)


@router.get("/people/{person_id}/change")
async def change_form(request: Request, actor: Office, session: Reading, person_id: str) -> Response:
    page = await registers.person_page(session, actor, person_id)
    known = page.fields
    words = ("kind", "title", "given_name", "family_name", "preferred_name", "year_group", "external_id")
    form = PersonForm(**{name: getattr(known, name) or "" for name in words}, version=page.version)
    form.born_on = f"{known.born_on:%d/%m/%Y}" if known.born_on else ""
    form.email = known.email or "" if page.person.roles - {Role.PARENT, Role.GUEST} else ""
    return await render(request, "people/change.html", title=f"Change {page.person.full_name}", page=page, form=form, errors=None)


@router.post("/people/{person_id}/change")
async def change(request: Request, actor: Office, session: Reading, person_id: str,
                 form: Annotated[PersonForm, Form()]) -> Response:
    page = await registers.person_page(session, actor, person_id)
    try:
        await saved(request, lambda writing: commands.change_person(
            writing, actor, person_id, form.fields(kept_email=page.fields.email), form.version))
    except (Invalid, NotAllowed) as refusal:
        return await form_again(request, "people/change.html", refusal, title=f"Change {page.person.full_name}",
                                page=page, form=form)
    return see_other(f"/people/{person_id}")


@router.get("/people/{person_id}/roles")
async def roles_form(request: Request, actor: Granter, session: Reading, person_id: str) -> Response:
    page = await registers.person_page(session, actor, person_id)
    return await _roles_form(request, actor, session, page)


async def _roles_form(request: Request, actor: Actor, session: Reading, page: registers.PersonPage,
                      refusal: Invalid | NotAllowed | Conflict | None = None) -> Response:
    to_be = await power.waiting_for(session, page.person.id)
    grantable = rules.grantable(actor, page.person.id, has_head=await queries.has_head(session, actor.school_id))
    context: dict[str, Any] = {
        "title": f"Roles of {page.person.full_name}", "page": page, "to_be": to_be, "by_two": rules.BY_TWO,
        "roles": sorted(grantable - {Role.PUPIL} - to_be, key=list(Role).index)}
    if refusal:
        return await form_again(request, "people/roles.html", refusal, **context)
    return await render(request, "people/roles.html", errors=None, **context)


@router.post("/people/{person_id}/roles")
async def roles(request: Request, actor: Granter, session: Reading, now: Now, person_id: str, proof: Confirming,
                roles: Annotated[list[str] | None, Form()] = None) -> Response:
    page = await registers.person_page(session, actor, person_id)
    has_head = await queries.has_head(session, actor.school_id)
    grantable = rules.grantable(actor, person_id, has_head=has_head)
    after = frozenset((page.person.roles - grantable) | {Role(role) for role in roles or [] if role in set(Role)})
    try:
        if page.person.roles == after:
            return see_other(f"/people/{person_id}")
        rules.checked_roles(actor, person_id, page.fields.kind, page.person.roles, after, has_head=has_head)
        action = rules.role_action(person_id, page.person.full_name, page.person.roles, after)
        if not proof.is_given:
            return await step_up.ask(request, session, actor, action)
        await saved(request, lambda writing: commands.change_roles(writing, actor, person_id, after, proof, now), closes=True)
    except NotConfirmed as refusal:
        return await step_up.ask(request, session, actor, action, refusal)
    except (Invalid, NotAllowed, Conflict) as refusal:
        return await _roles_form(request, actor, session, page, refusal)
    return see_other(f"/people/{person_id}")


@router.post("/people/{person_id}/reset")
async def reset(request: Request, actor: Annotated[Actor, Depends(Audience(rules.RESETTERS))], session: Writing, now: Now,
                person_id: str) -> Response:
    token = await commands.make_reset(session, actor, person_id, now)
    person = await queries.person(session, actor.school_id, person_id)
    link = f"{request.app.state.settings.origin}/reset/{token}"
    return await render(request, "people/reset_link.html", title="One-time link", person=person, link=link)


@router.post("/people/{person_id}/leave")
async def leave(request: Request, actor: Granter, session: Closing, now: Now, person_id: str) -> Response:
    await commands.leave(session, actor, person_id, now)
    return see_other(f"/people/{person_id}")


@router.post("/people/{person_id}/return")
async def come_back(request: Request, actor: Granter, session: Reading, person_id: str, proof: Confirming) -> Response:
    try:
        await saved(request, lambda writing: commands.come_back(writing, actor, person_id, proof))
    except NotConfirmed as refusal:
        person = (await registers.person_page(session, actor, person_id)).person
        action = rules.return_action(person_id, person.full_name, person.roles)
        wrong = refusal if proof.is_given else None
        return await step_up.ask(request, session, actor, action, wrong, back=f"/people/{person_id}")
    return see_other(f"/people/{person_id}")


# -- guardians --------------------------------------------------------------------------------------------------------


@router.get("/people/{child_id}/guardians")
async def guardian_search(request: Request, actor: Keeper, session: Reading, child_id: str, q: str = "") -> Response:
    page = await registers.person_page(session, actor, child_id)
    found = await registers.search(session, actor, words=q) if q.strip() else []
    linked = {guardian.id for guardian in page.guardians}
    return await render(request, "people/guardian_search.html", title=f"Add an adult for {page.person.name}", page=page, q=q,
                        found=[row for row in found if row.kind == "adult" and row.id not in linked][:30])


@router.post("/people/{child_id}/guardians")
async def guardian_add(request: Request, actor: Keeper, session: Writing, child_id: str,
                       guardian_id: Annotated[str, Form()]) -> Response:
    return see_other(f"/guardians/{await guardianships.add(session, actor, child_id, guardian_id)}")


class GuardianForm(BaseModel):
    relationship: str = ""
    contact_order: int = 1
    lives_with: str = ""
    parental_responsibility: str = ""
    court_order: str = ""
    do_not_contact: str = ""
    reason: str = ""


@router.get("/guardians/changes")
async def changes(request: Request, actor: Keeper, session: Reading) -> Response:
    return await render(request, "people/guardian_changes.html", title="Waiting for a second person",
                        waiting=await registers.waiting_changes(session, actor.school_id))


@router.post("/guardians/changes/{change_id}")
async def decide(request: Request, actor: Keeper, session: Writing, now: Now, change_id: str,
                 answer: Annotated[str, Form()]) -> Response:
    await guardianships.decide(session, actor, change_id, agrees=answer == "agree", now=now)
    return see_other("/guardians/changes")


@router.get("/guardians/{link_id}")
async def guardian_form(request: Request, actor: Keeper, session: Reading, link_id: str) -> Response:
    link = await registers.guardianship(session, actor.school_id, link_id)
    form = GuardianForm(
        relationship=link.guardian.relationship, contact_order=link.guardian.contact_order,
        lives_with={True: "yes", False: "no", None: "unknown"}[link.guardian.lives_with],
        parental_responsibility=link.guardian.parental_responsibility, court_order=link.guardian.court_order,
        do_not_contact="yes" if link.guardian.do_not_contact else "no",
    )
    return await _guardian_form(request, link, form)


async def _guardian_form(request: Request, link: registers.LinkView, form: GuardianForm,
                         refusal: Invalid | None = None) -> Response:
    title = f"{link.guardian.name} and {link.child.name}"
    if refusal:
        return await form_again(request, "people/guardian.html", refusal, title=title, link=link, form=form)
    return await render(request, "people/guardian.html", title=title, link=link, form=form, errors=None)


@router.post("/guardians/{link_id}")
async def guardian_change(request: Request, actor: Keeper, session: Reading, now: Now, link_id: str,
                          form: Annotated[GuardianForm, Form()]) -> Response:
    link = await registers.guardianship(session, actor.school_id, link_id)
    flags = rules.Flags(form.parental_responsibility, form.court_order, form.do_not_contact == "yes")
    try:
        waits = await saved(request, lambda writing: guardianships.change(
            writing, actor, link_id, relationship=form.relationship, contact_order=form.contact_order,
            lives_with={"yes": True, "no": False}.get(form.lives_with), flags=flags, reason=form.reason, now=now))
    except Invalid as refusal:
        return await _guardian_form(request, link, form, refusal)
    return see_other("/guardians/changes" if waits else f"/people/{link.child.id}")
