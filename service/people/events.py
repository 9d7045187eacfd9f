"""What happens to the school and its people. Events say which fields changed, never their values: the audit outlives people."""

from dataclasses import dataclass

from service.foundation.events import Event


@dataclass(frozen=True)
class SignedIn(Event):
    subject = "person_id"
    person_id: str
    route: str


@dataclass(frozen=True)
class SignInRefused(Event):
    """`person_id` is empty when nobody is known by what was given."""

    subject = "person_id"
    person_id: str
    route: str
    why: str


@dataclass(frozen=True)
class SignedOut(Event):
    subject = "person_id"
    person_id: str
    why: str


@dataclass(frozen=True)
class SessionsEnded(Event):
    """Every session of a person ended at once: sockets and media follow."""

    subject = "person_id"
    person_id: str
    why: str


@dataclass(frozen=True)
class PasswordSet(Event):
    """`route`: `account` (the person, knowing the old one) or `reset` (with a one-time link)."""

    subject = "person_id"
    person_id: str
    route: str


@dataclass(frozen=True)
class PasswordResetMade(Event):
    subject = "person_id"
    person_id: str


@dataclass(frozen=True)
class PasskeyAdded(Event):
    subject = "person_id"
    person_id: str
    passkey_id: str


@dataclass(frozen=True)
class PasskeyStopped(Event):
    """`why`: `removed` (by its owner), `reset` (by somebody else) or `cloned` (its counter went back)."""

    subject = "person_id"
    person_id: str
    passkey_id: str
    why: str


@dataclass(frozen=True)
class OneTimeCodesSet(Event):
    subject = "person_id"
    person_id: str


@dataclass(frozen=True)
class OneTimeCodesStopped(Event):
    """`why`: `removed` (by their owner) or `reset` (by somebody else)."""

    subject = "person_id"
    person_id: str
    why: str


@dataclass(frozen=True)
class FactorsReset(Event):
    """Somebody else removed this person's passkeys and one-time codes."""

    subject = "person_id"
    person_id: str


@dataclass(frozen=True)
class StepUpRefused(Event):
    """Somebody signed in as this person could not prove to be them. `why` is a key of `actions.REFUSALS`."""

    subject = "person_id"
    person_id: str
    action_hash: str
    why: str


@dataclass(frozen=True)
class StepUpConfirmed(Event):
    """A person proved to be themselves for exactly this action, in the transaction that did it."""

    subject = "person_id"
    person_id: str
    action: str
    action_hash: str
    grant_id: str
    method: str


@dataclass(frozen=True)
class BadgeIssued(Event):
    """A pupil has a new badge and PIN; the old ones stopped. Who teaches the pupil is refused (threat T3)."""

    subject = "person_id"
    person_id: str
    badge_id: str


@dataclass(frozen=True)
class BadgeUnlocked(Event):
    subject = "person_id"
    person_id: str
    badge_id: str


@dataclass(frozen=True)
class PersonAdded(Event):
    subject = "person_id"
    person_id: str
    person_kind: str


@dataclass(frozen=True)
class PersonChanged(Event):
    subject = "person_id"
    person_id: str
    fields: tuple[str, ...]


@dataclass(frozen=True)
class PersonLeft(Event):
    subject = "person_id"
    person_id: str


@dataclass(frozen=True)
class PersonReturned(Event):
    subject = "person_id"
    person_id: str


@dataclass(frozen=True)
class RoleAsked(Event):
    """Somebody asked that a person may approve. Nobody holds the role before a second person agrees."""

    subject = "person_id"
    person_id: str
    request_id: str
    role: str


@dataclass(frozen=True)
class RoleAgreed(Event):
    """A second person agreed: `RolesChanged` follows. `asked_by`: the first."""

    subject = "person_id"
    person_id: str
    request_id: str
    role: str
    asked_by: str


@dataclass(frozen=True)
class RoleRefused(Event):
    """A second person did not agree, or whoever asked took it back."""

    subject = "person_id"
    person_id: str
    request_id: str
    role: str


@dataclass(frozen=True)
class RolesChanged(Event):
    subject = "person_id"
    person_id: str
    given: tuple[str, ...]
    taken: tuple[str, ...]


@dataclass(frozen=True)
class GuardianshipAdded(Event):
    subject = "child_id"
    child_id: str
    guardian_id: str


@dataclass(frozen=True)
class GuardianshipChanged(Event):
    """`agreed_by` is the second person, where one was needed (policy: CM1)."""

    subject = "child_id"
    child_id: str
    guardian_id: str
    fields: tuple[str, ...]
    agreed_by: str = ""


@dataclass(frozen=True)
class GuardianshipChangeAsked(Event):
    subject = "child_id"
    child_id: str
    guardian_id: str
    fields: tuple[str, ...]


@dataclass(frozen=True)
class GuardianshipChangeRefused(Event):
    subject = "child_id"
    child_id: str
    guardian_id: str


@dataclass(frozen=True)
class GroupAdded(Event):
    subject = "group_id"
    group_id: str


@dataclass(frozen=True)
class GroupChanged(Event):
    """A class has another name or stage, or other pupils or teachers: who is on its lessons' rosters changes with it."""

    subject = "group_id"
    group_id: str
    fields: tuple[str, ...]


@dataclass(frozen=True)
class DbsRecorded(Event):
    subject = "person_id"
    person_id: str
    check_id: str


@dataclass(frozen=True)
class DbsWithdrawn(Event):
    subject = "person_id"
    person_id: str
    check_id: str
    reason: str


@dataclass(frozen=True)
class RosterChecked(Event):
    subject = "import_id"
    import_id: str
    rows: int
    errors: int


@dataclass(frozen=True)
class PeopleStaged(Event):
    """New people of a file, written where nobody sees them until `RosterImported`."""

    subject = "import_id"
    import_id: str
    person_ids: tuple[str, ...]


@dataclass(frozen=True)
class RosterImported(Event):
    """One file became so at one moment: how many people it added, and the ids of those it changed and who left."""

    subject = "import_id"
    import_id: str
    added: int
    changed: tuple[str, ...]
    left: tuple[str, ...]


@dataclass(frozen=True)
class SchoolFounded(Event):
    subject = "school_id"
    school_id: str


@dataclass(frozen=True)
class SchoolOpened(Event):
    """The school went live: it has two possible approvers and a rota without gaps."""

    subject = "school_id"
    school_id: str


@dataclass(frozen=True)
class ProfileChangeAsked(Event):
    """Somebody asks for other rules; nothing is different yet. `looser`: the fields that would protect less (policy: IN5)."""

    subject = "change_id"
    change_id: str
    fields: tuple[str, ...]
    looser: tuple[str, ...]


@dataclass(frozen=True)
class ProfileChanged(Event):
    """Two people changed the school's rules, from the next lesson on. Who publishes it is the second of them."""

    subject = "change_id"
    change_id: str
    version: int
    fields: tuple[str, ...]
    looser: tuple[str, ...]
    asked_by: str


@dataclass(frozen=True)
class ProfileChangeRefused(Event):
    """A second person did not agree, or who asked took it back."""

    subject = "change_id"
    change_id: str


@dataclass(frozen=True)
class SchoolChanged(Event):
    """`what`: `name`, `hours`, `terms`, `closures` or `rota`."""

    subject = "school_id"
    school_id: str
    what: str
    reason: str = ""
