"""What the school decides about itself and its people. Pure."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from service.foundation.errors import Invalid, NotAllowed
from service.foundation.events import EVERYBODY, LEADERS, SAFEGUARDING, STAFF, Actor, Role
from service.people.actions import Action
from service.people.profile import Profile, differences

ROLE_WORDS = {
    Role.TEACHER: "Teacher", Role.SUPPORT: "Teaching assistant",
    Role.SENIOR_LEADER: "Senior leader", Role.HEADTEACHER: "Headteacher",
    Role.DSL: "Designated safeguarding lead", Role.DEPUTY_DSL: "Deputy safeguarding lead", Role.CHAIR: "Chair of governors",
    Role.OFFICE: "Office", Role.GOVERNOR: "Governor", Role.DPO: "Data Protection Officer", Role.TECHNICIAN: "Technician",
    Role.PUPIL: "Pupil", Role.PARENT: "Parent or carer", Role.GUEST: "Guest",
}


def idle_limit(roles: frozenset[Role], profile: Profile) -> timedelta:
    """How long somebody with `roles` may do nothing before they are signed out (policy: AC2)."""
    if Role.PUPIL in roles:
        return timedelta(minutes=profile.pupil_idle_minutes)
    if roles and roles <= {Role.PARENT}:
        return timedelta(minutes=profile.parent_idle_minutes)
    return timedelta(minutes=profile.staff_idle_minutes)


def longest_session(roles: frozenset[Role]) -> timedelta:
    """How long a sign-in lasts at most, however busy: a working day, or a pupil's school day."""
    return timedelta(hours=8 if Role.PUPIL in roles else 12)


def start_pages(actor: Actor) -> tuple[str, ...]:
    """Where a person might land after signing in, best first. The frame takes the first that is there and is for them."""
    return tuple(path for role, path in START_PAGES if role in actor.roles)


START_PAGES = (
    (Role.PUPIL, "/today"),
    (Role.DSL, "/safeguarding"), (Role.DEPUTY_DSL, "/safeguarding"),
    (Role.HEADTEACHER, "/live"), (Role.SENIOR_LEADER, "/live"),
    (Role.HEADTEACHER, "/today"), (Role.SENIOR_LEADER, "/today"),
    (Role.TEACHER, "/today"), (Role.SUPPORT, "/today"),
    (Role.OFFICE, "/people"), (Role.PARENT, "/family"), (Role.TECHNICIAN, "/people"),
    (Role.HEADTEACHER, "/people"), (Role.SENIOR_LEADER, "/people"), (Role.DSL, "/people"), (Role.DEPUTY_DSL, "/people"),
    (Role.GUEST, "/guest"),
    (Role.CHAIR, "/school"), (Role.GOVERNOR, "/governors"), (Role.DPO, "/impact"), (Role.DPO, "/school"),
)
EARLY = timedelta(minutes=15)


def pupils_may_sign_in_from(opens: str, closes: str, now: datetime, zone: str) -> str | None:
    """None while pupils may sign in: from 15 minutes before the school opens until it closes. Else from when, as said.

    Lessons lie within these hours, so no lesson is missed; outside them nobody is there to answer a child (policy: AC2).
    """
    local = now.astimezone(ZoneInfo(zone))
    day = local.replace(second=0, microsecond=0)
    start = day.replace(hour=int(opens[:2]), minute=int(opens[3:])) - EARLY
    start = max(start, day.replace(hour=0, minute=0))
    end = day.replace(hour=int(closes[:2]), minute=int(closes[3:])) + timedelta(minutes=1)
    return None if start <= local < end else f"{(start.hour - 1) % 12 + 1}:{start.minute:02}{'am' if start.hour < 12 else 'pm'}"


# -- who may change whom (policy: AC3, AC9; threat T3) -------------------------------------------------------------------

OFFICE_GIVES = frozenset({Role.TEACHER, Role.SUPPORT, Role.PUPIL, Role.PARENT, Role.GOVERNOR, Role.GUEST})
CHILD_ROLES = frozenset({Role.PUPIL})


class OwnRoles(NotAllowed):
    """You cannot change your own roles. Ask a senior leader."""

    code = "own-roles"


def grantable(actor: Actor, person_id: str, *, has_head: bool = True) -> frozenset[Role]:
    """The roles that `actor` may give to or take from this person. Power is never given to oneself, nor by the office.

    `has_head`: the school has a headteacher. Where the last one has left, a senior leader or the chair of governors asks for
    the next.
    """
    if actor.person_id == person_id:
        return frozenset()
    if Role.HEADTEACHER in actor.roles:
        return EVERYBODY
    if Role.SENIOR_LEADER in actor.roles:
        return EVERYBODY - {Role.DSL, Role.CHAIR} - ({Role.HEADTEACHER} if has_head else frozenset())
    next_head = frozenset({Role.HEADTEACHER}) if Role.CHAIR in actor.roles and not has_head else frozenset()
    return next_head | (OFFICE_GIVES if Role.OFFICE in actor.roles else frozenset())


def checked_roles(actor: Actor, person_id: str, kind: str, before: frozenset[Role], after: frozenset[Role], *,
                  has_head: bool = True) -> None:
    """Refuse a change of roles that is not the actor's to make, or that would make a child an adult."""
    changed = before ^ after
    if not changed:
        return
    if actor.person_id == person_id:
        raise OwnRoles()
    if not changed <= grantable(actor, person_id, has_head=has_head):
        raise NotAllowed("A headteacher or senior leader gives this role. Ask one of them.")
    if kind == "child" and not after <= CHILD_ROLES:
        raise Invalid(fields={"roles": "A child can only be a pupil"})
    if kind == "adult" and after & CHILD_ROLES:
        raise Invalid(fields={"roles": "An adult cannot be a pupil. Add a pupil of 18 as a child"})
    if Role.GUEST in after and after & STAFF:
        raise Invalid(fields={"roles": "Who works here is no guest. Choose one of the two"})


def role_action(person_id: str, name: str, before: frozenset[Role], after: frozenset[Role]) -> Action:
    """A change of roles as it is confirmed: from exactly these to exactly those."""
    given, taken = after - before, before - after
    changes = (("give ", given - BY_TWO), ("take away ", taken), ("ask a second person to give ", given & BY_TWO))
    does = [words + role_words(roles) for words, roles in changes if roles]
    return Action("change-roles", f"change the roles of {name}: {' and '.join(does)}",
                  {"person_id": person_id, "before": sorted(before), "after": sorted(after)})


PROVERS = EVERYBODY - {Role.PUPIL, Role.PARENT, Role.GUEST}  # who has passkeys and one-time codes: staff and governance
POWERFUL = LEADERS | SAFEGUARDING | {Role.CHAIR}
"""Roles that may approve something."""
BY_TWO = POWERFUL | {Role.OFFICE, Role.TECHNICIAN}
"""Roles that nobody gives alone: a second person, who may approve, agrees. Whoever lets people in and clears them is as much
power as an approval is: two adults of one person's making would need none (threat T5)."""
NOBODY_ELSE = (
    "Nobody else here may agree to this. Ask the chair of governors. If your chair has no account yet, the office adds them as a "
    "governor, and your technician then runs “chaperone chair” with their e-mail address on the server.")


class SecondNeeded(NotAllowed):
    """A second person has to agree to this role."""

    code = "second-needed"


def role_words(roles: Iterable[Role]) -> str:
    return ", ".join(ROLE_WORDS[role] for role in sorted(roles, key=list(Role).index))


def checked_role_second(actor: Actor, person_id: str, role: Role, asked_by: str, asker: Actor | None, *,
                        has_head: bool = True) -> None:
    """Who agrees that somebody may approve: another holder of power than who asked, and not whom it is about; both as they
    are now. Who could not give the role any more has lost the request."""
    checked_other(actor, asked_by)
    if actor.person_id == person_id:
        raise SecondNeeded("This is about your own role. Another person has to agree to it.")
    if not actor.roles & POWERFUL:
        raise SecondNeeded("A leader, the safeguarding team or the chair of governors agrees to this.")
    if asker is None or role not in grantable(asker, person_id, has_head=has_head):
        raise SecondNeeded("Who asked for this could not give this role any more. Ask for it again.")


def second_action(request_id: str, person_id: str, role: Role, asked_by: str, name: str, email: str) -> Action:
    """What the second person confirms: exactly this role for exactly this person, as they are known at this moment."""
    return Action("agree-role", f"agree that {name} is {ROLE_WORDS[role]}", {
        "request_id": request_id, "person_id": person_id, "role": role, "asked_by": asked_by, "name": name, "email": email})


def head_action(person_id: str, name: str, email: str) -> Action:
    """What a chair confirms who asks for the next headteacher: exactly this person, by the address they sign in with."""
    return Action("ask-for-head", f"ask a second person to make {name} headteacher", {"person_id": person_id, "email": email})


def checked_next_head(actor: Actor, person_id: str, kind: str, *, has_head: bool) -> None:
    """Governors appoint a headteacher: while a school has none, the chair asks for one, and a second person agrees."""
    if actor.person_id == person_id:
        raise OwnRoles("You cannot ask for yourself. Ask a leader or the safeguarding team.")
    if has_head:
        raise NotAllowed("This school has a headteacher. The office says so when a headteacher has left.")
    if Role.HEADTEACHER not in grantable(actor, person_id, has_head=has_head):
        raise NotAllowed("The chair of governors asks for this.")
    if kind != "adult":
        raise Invalid(fields={"email": "Only an adult can be headteacher"})


def may_be_named(holders: int, kind: str) -> None:
    """Where the service runs a chair is named only for a school in which no two people could agree to anything."""
    if holders > 1:
        raise NotAllowed("Two people here can agree to roles. Ask them: nothing has changed.")
    if kind != "adult":
        raise Invalid(fields={"email": "Only an adult can be chair of governors"})
TWO_PEOPLE_FOR = timedelta(days=7)
"""For how long who did one half of letting somebody in does not do the other."""
FACTOR_RESETTERS = frozenset({Role.OFFICE}) | LEADERS
RESETTERS = frozenset({Role.OFFICE, Role.TECHNICIAN}) | LEADERS


def checked_reset(actor: Actor, person_id: str, roles: frozenset[Role]) -> None:
    """Who may make a one-time link for whom: never for oneself; for people with power, and for those who let others in, only a
    leader or the safeguarding team (threat T5)."""
    if actor.person_id == person_id:
        raise NotAllowed("You cannot make a link for yourself. Change your password on your account page, or ask the office.")
    if roles & BY_TWO and not actor.is_any(LEADERS | SAFEGUARDING):
        raise NotAllowed("Only a leader or the safeguarding team makes a link for this person.")


def checked_factor_reset(actor: Actor, person_id: str, roles: frozenset[Role]) -> None:
    """Who may remove whose passkeys and codes: not one's own this way; of people whose role takes two only another leader
    (threat T5)."""
    if actor.person_id == person_id:
        raise NotAllowed("You cannot do this for yourself. Remove them on your account page, or ask another person.")
    if not may_reset_factors(actor, person_id, roles):
        raise NotAllowed("Only another leader removes the passkeys and codes of this person.")


def may_reset_factors(actor: Actor, person_id: str, roles: frozenset[Role]) -> bool:
    """Only of people who have such things; of people whose role takes two only another leader."""
    resetters = LEADERS if roles & BY_TWO else FACTOR_RESETTERS
    return actor.person_id != person_id and bool(roles & PROVERS) and actor.is_any(resetters)


# -- guardians (policy: CM1) ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Flags:
    """What protects a child in one adult's case. Unknown never counts as safe."""

    parental_responsibility: str = "unknown"
    court_order: str = "unknown"
    do_not_contact: bool = False


def may_be_told(flags: Flags) -> bool:
    """Whether a family's adult may get news of a child unasked: only where nothing stands against it, and that is known."""
    return flags == Flags("yes", "no", False)


CAREFUL: dict[str, tuple[str | bool, ...]] = {  # from the least careful answer to the most
    "parental_responsibility": ("yes", "unknown", "no"), "court_order": ("no", "unknown", "yes"), "do_not_contact": (False, True),
}


def lessens(before: Flags, after: Flags) -> bool:
    """Whether `after` protects the child less than `before` in any respect: then two people must agree."""
    return any(order.index(getattr(after, name)) < order.index(getattr(before, name)) for name, order in CAREFUL.items())


def checked_flags(flags: Flags) -> Flags:
    wrong = {name: "Choose one" for name, order in CAREFUL.items() if getattr(flags, name) not in order}
    if wrong:
        raise Invalid(fields=wrong)
    return flags


def checked_other(actor: Actor, asked_by: str) -> None:
    """Two people are two persons, whatever roles and sign-ins one of them has."""
    if actor.person_id == asked_by:
        raise NotAllowed("You asked for this change. Another person has to agree to it.")


def checked_second(actor: Actor, asked_by: str, asker_roles: frozenset[Role]) -> None:
    """The second person is another one, and one of the two is a leader or of the safeguarding team."""
    checked_other(actor, asked_by)
    if not (actor.roles | asker_roles) & (LEADERS | SAFEGUARDING):
        raise NotAllowed("A leader or the safeguarding team has to agree to this change.")


# -- the school's rules (policy: IN5) -----------------------------------------------------------------------------------

ASK_FOR_RULES = LEADERS
AGREE_TO_RULES = LEADERS | {Role.CHAIR}
ANSWERS_FOR_SCHOOL = frozenset({Role.HEADTEACHER, Role.CHAIR})


def checked_rules_second(actor: Actor, asked_by: str, asker_roles: frozenset[Role]) -> None:
    """Two people change the school's rules: a leader asks, another one or the chair agrees, and the headteacher or the
    chair is one of the two. Both as they are now: who has lost the role since has lost the request."""
    checked_other(actor, asked_by)
    if not asker_roles & ASK_FOR_RULES:
        raise NotAllowed("Who asked for this is not a leader any more. Ask for it again.")
    if not actor.roles & AGREE_TO_RULES:
        raise NotAllowed("A leader or the chair of governors agrees to a change of the rules.")
    if not (actor.roles | asker_roles) & ANSWERS_FOR_SCHOOL:
        raise NotAllowed("The headteacher or the chair of governors has to be one of the two.")


def rules_action(change_id: str, base_version: int, profile: str, reasons: str, review_on: date, words: str) -> Action:
    """What the second person confirms: exactly these rules, reasons and day, instead of exactly that version (threat T5)."""
    return Action("agree-rules", words, {"change_id": change_id, "base_version": base_version, "profile": profile,
                                         "reasons": reasons, "review_on": review_on.isoformat()})


def checked_rules_request(before: Profile, after: Profile, reasons: Mapping[str, str], review_on: date | None,
                          today: date) -> dict[str, str]:
    """The reasons to keep, by the key of each line: one for every line that protects less, or one for it all when none does.

    Raises Invalid with words for each box that lacks something (policy: IN5).
    """
    changed = differences(before, after)
    if not changed:
        raise Invalid("Nothing is different from the rules as they are. Change something first.")
    wanted = {row.key: row.words for row in changed if row.is_looser} or {"all": "these rules"}
    given = {key: " ".join(reasons.get(key, "").split()) for key in wanted}
    wrong = {f"reason_{key}": f"Say why you want to change “{wanted[key]}”, in 500 letters or fewer"
             for key, words in given.items() if not 1 <= len(words) <= 500}
    if review_on is None or not today < review_on <= years_on(today, 1):
        wrong["review_on"] = "Enter a day within the next year on which somebody looks at this again, like 1/9/2027"
    if wrong:
        raise Invalid(fields=wrong)
    return given


# -- what is known of a person -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PersonFields:
    """What the office writes down about somebody; its names are those of the table."""

    kind: str
    given_name: str
    family_name: str = ""
    title: str = ""
    preferred_name: str = ""
    email: str | None = None
    born_on: date | None = None
    year_group: str = ""
    external_id: str | None = None

    def columns(self) -> dict[str, Any]:
        return asdict(self)


NOT_YET = date.min  # `left_on` of people whom an import has written and not yet let in: every query takes them for leavers
YEARS = ("N", "R", *(str(year) for year in range(1, 15)))
EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]+\.[^@\s.]+")


WHEN_AGREED = " once a second person agrees"


def _gets(roles: frozenset[Role]) -> str:
    plain, power = roles - BY_TWO, roles & BY_TWO
    parts = [role_words(plain)] if plain else []
    parts += [role_words(power) + WHEN_AGREED] if power else []
    return " and ".join(parts)


def asks_who_adds(roles: frozenset[Role]) -> bool:
    """Whether somebody is added with power: with a role that the office cannot give (threat T5)."""
    return bool(roles - OFFICE_GIVES)


def adding_action(given: PersonFields, roles: frozenset[Role]) -> Action:
    """Somebody new with power, as it is confirmed: who it is, how they sign in, and exactly these roles."""
    gets = _gets(roles)
    name = f"{given.given_name} {given.family_name}".strip()
    return Action("add-person", f"add {name}, who will be {gets}", {
        "given_name": given.given_name, "family_name": given.family_name, "email": given.email, "roles": sorted(roles)})


def checked_return(actor: Actor, person_id: str, roles: frozenset[Role], *, has_head: bool = True) -> None:
    """Who brings somebody back who has left: with them their power comes back, so whoever could give it (threat T5)."""
    if not roles - OFFICE_GIVES <= grantable(actor, person_id, has_head=has_head):
        raise NotAllowed("A headteacher or senior leader brings this person back. Ask one of them.")


def return_action(person_id: str, name: str, roles: frozenset[Role]) -> Action:
    gets = role_words(roles)
    again = f"who will be {gets} again" + (WHEN_AGREED if roles & BY_TWO else "")
    return Action("bring-back", f"bring back {name}, {again}", {"person_id": person_id, "roles": sorted(roles)})


def person_problems(given: PersonFields) -> dict[str, str]:
    """Words for every field that cannot be so."""
    checks = (
        ("kind", "Choose child or adult", given.kind in ("child", "adult")),
        ("given_name", "Enter a first name", bool(given.given_name)),
        ("given_name", "Use 80 letters or fewer", len(given.given_name) <= 80),
        ("family_name", "Use 80 letters or fewer", len(given.family_name) <= 80),
        ("preferred_name", "Use 80 letters or fewer", len(given.preferred_name) <= 80),
        ("title", "Use 20 letters or fewer", len(given.title) <= 20),
        ("year_group", "Use N, R or 1 to 14", given.year_group in ("", *YEARS)),
        ("email", "Enter an e-mail address, like name@school.example",
         not given.email or (len(given.email) <= 254 and EMAIL.fullmatch(given.email) is not None)),
        ("email", "Pupils sign in with a badge, so they need no e-mail address", given.kind != "child" or not given.email),
        ("external_id", "Use 64 letters or fewer", len(given.external_id or "") <= 64),
    )
    return {field: words for field, words, fits in reversed(checks) if not fits}


def checked_person(given: PersonFields) -> PersonFields:
    wrong = person_problems(given)
    if wrong:
        raise Invalid(fields=wrong)
    return given


def read_day(text: str) -> date | None:
    """A day as people here write it (27/3/2016, 27.03.2016, 2016-03-27), None when it is not one."""
    parts = re.fullmatch(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})", text.strip())
    written = (parts[3], parts[2], parts[1]) if parts else tuple(text.strip().split("-"))
    try:
        year, month, day = (int(part) for part in written)
        return date(year, month, day)
    except ValueError:
        return None


RECHECK_YEARS = 3


@dataclass(frozen=True)
class Dbs:
    number: str
    checked_on: date
    recheck_on: date


def checked_dbs(actor: Actor, person_id: str, number: str, checked_on: date | None, recheck_on: date | None, today: date) -> Dbs:
    """A DBS entry that may be recorded (policy: AC8), with the school's re-check date, by default three years on."""
    if actor.person_id == person_id:
        raise NotAllowed("You cannot record your own DBS check. Ask somebody else in the office.")
    number = "".join(number.split())
    wrong = dbs_problems(number, checked_on, today)
    if wrong or checked_on is None:
        raise Invalid(fields=wrong)
    after = recheck_on or years_on(checked_on, RECHECK_YEARS)
    if not checked_on < after <= years_on(checked_on, 5):
        raise Invalid(fields={"recheck_on": "Choose a re-check date within five years of the check"})
    return Dbs(number, checked_on, after)


def dbs_problems(number: str, checked_on: date | None, today: date) -> dict[str, str]:
    wrong = {}
    if not re.fullmatch(r"\d{12}", number):
        wrong["number"] = "A DBS certificate number has 12 digits"
    if checked_on is None or not date(2002, 3, 1) <= checked_on <= today:
        wrong["checked_on"] = "Enter the date on the certificate, like 27/3/2025, not in the future"
    return wrong


def years_on(day: date, years: int) -> date:
    return day.replace(year=day.year + years, day=28) if (day.month, day.day) == (2, 29) else day.replace(year=day.year + years)


# -- going live (policy: AC5 comes with the DPIA) ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Slot:
    """Somebody on duty: weekday (Monday 0), from and until, as “08:00”."""

    weekday: int
    starts_at: str
    ends_at: str


def rota_gaps(slots: Iterable[Slot], opens: str, closes: str) -> list[Slot]:
    """When nobody is on duty although the school is open, Monday to Friday."""
    gaps = []
    for weekday in range(5):
        covered = opens
        for slot in sorted((s for s in slots if s.weekday == weekday), key=lambda slot: slot.starts_at):
            if slot.starts_at > covered:
                gaps.append(Slot(weekday, covered, min(slot.starts_at, closes)))
            covered = max(covered, slot.ends_at)
        if covered < closes:
            gaps.append(Slot(weekday, covered, closes))
    return gaps


@dataclass(frozen=True)
class Readiness:
    """One thing a school needs before it goes live, in words, and whether it is there."""

    key: str
    words: str
    is_done: bool


def readiness(*, approvers: int, has_dsl: bool, gaps: int, terms: int) -> tuple[Readiness, ...]:
    """What a school needs before it goes live: closed until two people could approve and somebody is always on duty."""
    return (
        Readiness("approvers", "Two people who may approve an exception (headteacher, chair)", approvers >= 2),
        Readiness("dsl", "A designated safeguarding lead", has_dsl),
        Readiness("rota", "Somebody on duty at every hour the school is open", gaps == 0),
        Readiness("terms", "Term dates", terms > 0),
    )


def shown_name(*, kind: str, title: str, given: str, preferred: str, family: str) -> str:
    """What others see: “Mr Hall” for an adult, “Ali” for a child. Surnames of children are for staff lists only."""
    if kind == "child":
        return preferred or given
    return f"{title} {family}".strip() if title and family else f"{preferred or given} {family}".strip()


def sort_key(name: str) -> str:
    """Names in the order people look for them, whatever their accents."""
    return "".join(c for c in unicodedata.normalize("NFKD", name.casefold()) if not unicodedata.combining(c))


def approvers(holders: dict[str, frozenset[Role]], profile: Profile) -> frozenset[str]:
    """Who could approve an exception: the headteacher, or any senior leader where the profile says so, and the chair."""
    may = {Role.HEADTEACHER, Role.CHAIR} | (LEADERS if profile.one_to_one_by_any_leader else set())
    return frozenset(person for person, roles in holders.items() if roles & may)


def is_current(valid_from: date, valid_until: date, on: date | datetime) -> bool:
    day = on.date() if isinstance(on, datetime) else on
    return valid_from <= day < valid_until
