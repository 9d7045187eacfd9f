"""The school and its people. Constraints here, logic in `rules` and `commands`."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlmodel import Field, SQLModel

from service.foundation.db import IdField


class School(SQLModel, table=True):
    """One school. `live_at` is empty until set-up is complete: two possible approvers and a duty rota at the least."""

    __tablename__ = "school"
    id: str = IdField()
    name: str = Field(max_length=120)
    zone: str = Field(default="Europe/London", max_length=40)
    office: str = Field(default="the office", max_length=80, description="What pages call the office, with how to reach it.")
    opens_at: str = Field(default="08:00", max_length=5)
    closes_at: str = Field(default="17:00", max_length=5)
    teaches_on: str = Field(default="01234", max_length=7, description="Weekdays with lessons; Monday is 0.")
    is_demo: bool = False
    is_self_test: bool = Field(default=False, description="The school of the self-test's synthetic people; nobody's school.")
    live_at: datetime | None = None
    roster_version: int = Field(default=1, description="Grows with every change to people: an import checks it.")


class TermDate(SQLModel, table=True):
    """A run of days on which the school teaches: a half-term. Both ends count."""

    __tablename__ = "term_date"
    __table_args__ = (CheckConstraint("starts_on <= ends_on"),)
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    name: str = Field(max_length=60)
    starts_on: date
    ends_on: date


class Closure(SQLModel, table=True):
    """A day inside term without lessons: a bank holiday or an INSET day."""

    __tablename__ = "closure"
    __table_args__ = (UniqueConstraint("school_id", "closed_on"),)
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    closed_on: date
    name: str = Field(max_length=80)


class ProfileChange(SQLModel, table=True):
    """A change of the rules that one person asked for and another decides (policy: IN5). What was asked never changes and
    what was decided stays (triggers of revision 0003)."""

    __tablename__ = "profile_change"
    __table_args__ = (
        CheckConstraint("(decided_at IS NULL) = (agreed IS NULL)"),
        CheckConstraint("agreed IS NULL OR decided_by <> ''"),
        CheckConstraint("agreed IS NULL OR NOT agreed OR decided_by <> asked_by", name="profile_change_two_people"),
    )
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    base_version: int = Field(description="The version that it was compared with; a later one makes it out of date.")
    profile: str = Field(description="JSON of the whole profile asked for.")
    reasons: str = Field(description="JSON: a reason for each line that protects less, or `all`.")
    review_on: date
    asked_by: str = Field(max_length=32)
    asked_at: datetime
    decided_by: str = Field(default="", max_length=32)
    decided_at: datetime | None = None
    agreed: bool | None = None


class ProfileVersion(SQLModel, table=True):
    """One version of the school's policy profile, as JSON of `profile.Profile`. Only ever added, and every one after the
    first only as what two people agreed (trigger of revision 0003)."""

    __tablename__ = "profile_version"
    __table_args__ = (
        UniqueConstraint("school_id", "version"),
        CheckConstraint("version = 1 OR (change_id IS NOT NULL AND asked_by <> '' AND decided_by <> '' "
                        "AND asked_by <> decided_by)", name="profile_version_two_people"),
    )
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    version: int
    profile: str
    reason: str = Field(max_length=500)
    review_on: date
    change_id: str | None = Field(default=None, foreign_key="profile_change.id", unique=True)
    asked_by: str = Field(default="", max_length=32)
    decided_by: str = Field(max_length=32)
    in_force_at: datetime


class DutySlot(SQLModel, table=True):
    """Who is on duty for safeguarding, on which weekday (Monday 0) and between which hours."""

    __tablename__ = "duty_slot"
    __table_args__ = (CheckConstraint("weekday BETWEEN 0 AND 6"), CheckConstraint("starts_at < ends_at"))
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    person_id: str = Field(foreign_key="person.id", index=True)
    weekday: int
    starts_at: str = Field(max_length=5)
    ends_at: str = Field(max_length=5)


class Person(SQLModel, table=True):
    """One human record. Child or adult is set by the office, never by a session. Nobody chooses their own name."""

    __tablename__ = "person"
    __table_args__ = (
        UniqueConstraint("school_id", "external_id"),
        UniqueConstraint("school_id", "email"),
        CheckConstraint("kind IN ('child', 'adult')"),
    )
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    kind: str = Field(max_length=5)
    title: str = Field(default="", max_length=20)
    given_name: str = Field(max_length=80)
    family_name: str = Field(default="", max_length=80)
    preferred_name: str = Field(default="", max_length=80)
    email: str | None = Field(default=None, max_length=254, description="Sign-in name of adults, lower case.")
    born_on: date | None = None
    year_group: str = Field(default="", max_length=4)
    external_id: str | None = Field(default=None, max_length=64, description="The id in the school's own system.")
    left_on: date | None = None
    returned_by: str = Field(default="", max_length=32, description="Who brought them back, of somebody who had left.")
    returned_at: datetime | None = None
    version: int = 1
    contacts_changed_at: datetime | None = Field(
        default=None, description="When a family's adult was last given another e-mail address or number; a first one is none.")


class PersonRole(SQLModel, table=True):
    __tablename__ = "person_role"
    person_id: str = Field(foreign_key="person.id", primary_key=True)
    role: str = Field(primary_key=True, max_length=16)
    school_id: str = Field(foreign_key="school.id", index=True)


class RoleRequest(SQLModel, table=True):
    """A role with power that one person asked for and a second one agrees to, or not (threat T5). Until then nobody holds it:
    `person_role` takes such a role only with an agreed request (triggers of revision 0009)."""

    __tablename__ = "role_request"
    __table_args__ = (
        CheckConstraint("(decided_at IS NULL) = (agreed IS NULL)"),
        CheckConstraint("asked_by <> person_id", name="role_request_not_ones_own"),
        CheckConstraint("agreed IS NULL OR NOT agreed OR (decided_by <> '' AND decided_by <> asked_by "
                        "AND decided_by <> person_id)", name="role_request_two_people"),
    )
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    person_id: str = Field(foreign_key="person.id", index=True)
    role: str = Field(max_length=16)
    asked_by: str = Field(max_length=32)
    asked_at: datetime
    decided_by: str = Field(default="", max_length=32, description="`console`: named where the service runs.")
    decided_at: datetime | None = None
    agreed: bool | None = None


class TeachingGroup(SQLModel, table=True):
    """A class: the group, not the lesson."""

    __tablename__ = "teaching_group"
    __table_args__ = (UniqueConstraint("school_id", "name"),)
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    name: str = Field(max_length=60)
    key_stage: int = Field(ge=0, le=5)
    year_group: str = Field(default="", max_length=4)
    archived_on: date | None = None


class GroupMember(SQLModel, table=True):
    """`part` is `pupil` or `teacher`."""

    __tablename__ = "group_member"
    __table_args__ = (CheckConstraint("part IN ('pupil', 'teacher')"),)
    group_id: str = Field(foreign_key="teaching_group.id", primary_key=True)
    person_id: str = Field(foreign_key="person.id", primary_key=True, index=True)
    school_id: str = Field(foreign_key="school.id", index=True)
    part: str = Field(max_length=7)


class Guardianship(SQLModel, table=True):
    """One adult's place in one child's life. Flags stand on the link, not on the person (policy: CM1)."""

    __tablename__ = "guardianship"
    __table_args__ = (
        UniqueConstraint("guardian_id", "child_id"),
        CheckConstraint("parental_responsibility IN ('yes', 'no', 'unknown')"),
        CheckConstraint("court_order IN ('yes', 'no', 'unknown')"),
    )
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    guardian_id: str = Field(foreign_key="person.id", index=True)
    child_id: str = Field(foreign_key="person.id", index=True)
    relationship: str = Field(default="", max_length=40)
    contact_order: int = 1
    parental_responsibility: str = Field(default="unknown", max_length=7)
    court_order: str = Field(default="unknown", max_length=7)
    lives_with: bool | None = None
    do_not_contact: bool = False


class Telephone(SQLModel, table=True):
    """A number that nobody can read here (`service.people.numbers`; policy: CM5). `kind`: `family`, from the roster; `own`, of
    a member of staff for a leader's grant (CM3); `school`, which is what families see."""

    __tablename__ = "telephone"
    __table_args__ = (
        UniqueConstraint("school_id", "owner_id", "kind"),
        CheckConstraint("kind IN ('family', 'own', 'school')"),
        CheckConstraint("cipher NOT LIKE '+%'", name="telephone_is_sealed"),
    )
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    owner_id: str = Field(max_length=32, index=True, description="The person's id, or the school's.")
    kind: str = Field(max_length=6)
    cipher: str = Field(max_length=200)
    hash: str = Field(max_length=64, index=True)
    language: str = Field(default="", max_length=40, description="Which one to speak; empty: nobody said.")
    noted_at: datetime


class DbsCheck(SQLModel, table=True):
    """An entry of the single central record (policy: AC8). The certificate itself is never kept."""

    __tablename__ = "dbs_check"
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    person_id: str = Field(foreign_key="person.id", index=True)
    certificate_number: str = Field(max_length=12)
    checked_on: date
    recheck_on: date
    recorded_by: str = Field(max_length=32)
    withdrawn_at: datetime | None = None


class Password(SQLModel, table=True):
    __tablename__ = "password"
    person_id: str = Field(foreign_key="person.id", primary_key=True)
    school_id: str = Field(foreign_key="school.id", index=True)
    hash: str = Field(max_length=200)
    set_at: datetime
    failures: int = 0
    locked_until: datetime | None = None
    rests_until: datetime | None = Field(default=None, description="Until then it opens the account and confirms nothing.")


class Passkey(SQLModel, table=True):
    """A WebAuthn credential: the public half only. A stopped one stays, and proves nothing. `is_phone`: of a parent's phone,
    good for the phones' API alone."""

    __tablename__ = "passkey"
    __table_args__ = (UniqueConstraint("school_id", "credential_id"),)
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    person_id: str = Field(foreign_key="person.id", index=True)
    credential_id: str = Field(max_length=1400, description="base64url, as browsers write it.")
    public_key: str = Field(max_length=4000, description="COSE key, base64url.")
    sign_count: int = 0
    transports: str = Field(default="", max_length=120, description="How the browser may reach it, comma-separated.")
    name: str = Field(max_length=60)
    is_synced: bool = False
    added_at: datetime
    rests_until: datetime
    used_at: datetime | None = None
    stopped_at: datetime | None = None
    stopped_why: str = Field(default="", max_length=10, description="`removed`, `reset` or `cloned`.")
    is_phone: bool = False


class OneTimeCodes(SQLModel, table=True):
    """A person's one-time codes (TOTP, RFC 6238). The secret is encrypted under a key beside the database."""

    __tablename__ = "one_time_codes"
    person_id: str = Field(foreign_key="person.id", primary_key=True)
    school_id: str = Field(foreign_key="school.id", index=True)
    secret: str = Field(max_length=200)
    begun_at: datetime
    confirmed_at: datetime | None = None
    rests_until: datetime | None = None
    last_step: int = Field(default=0, description="The time step of the last code that was accepted: each code works once.")
    failures: int = 0
    locked_until: datetime | None = None


class SpentChallenge(SQLModel, table=True):
    """A WebAuthn challenge that was answered. It is not answered twice."""

    __tablename__ = "spent_challenge"
    nonce: str = Field(primary_key=True, max_length=32)
    school_id: str = Field(foreign_key="school.id", index=True)
    spent_at: datetime = Field(index=True)


class StepUpGrant(SQLModel, table=True):
    """A proof of identity for exactly one action of one person in one session, used at most once (threat T5)."""

    __tablename__ = "step_up_grant"
    __table_args__ = (CheckConstraint("method IN ('passkey', 'password')"),)
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    person_id: str = Field(foreign_key="person.id", index=True)
    session_id: str = Field(foreign_key="sign_in.id", index=True)
    action_hash: str = Field(max_length=64)
    method: str = Field(max_length=8)
    made_at: datetime
    expires_at: datetime
    used_at: datetime | None = None


class FactorReset(SQLModel, table=True):
    """Somebody's passkeys and codes were removed by another person, who then makes no link for the same person's password."""

    __tablename__ = "factor_reset"
    __table_args__ = (CheckConstraint("made_by <> person_id"),)
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    person_id: str = Field(foreign_key="person.id", index=True)
    made_by: str = Field(max_length=32)
    made_at: datetime


class PasswordReset(SQLModel, table=True):
    """A one-time link to choose a new password. Only the hash of the token is kept."""

    __tablename__ = "password_reset"
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    person_id: str = Field(foreign_key="person.id", index=True)
    token_hash: str = Field(max_length=64, unique=True)
    made_by: str = Field(max_length=32)
    expires_at: datetime
    used_at: datetime | None = None


class Badge(SQLModel, table=True):
    """A pupil's printed badge: the secret in its square, and the PIN known by heart. Both are kept only as hashes."""

    __tablename__ = "badge"
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    person_id: str = Field(foreign_key="person.id", index=True)
    secret_hash: str = Field(max_length=64, unique=True)
    animal: str = Field(max_length=20)
    pin_kind: str = Field(max_length=8, description="`pictures` (ages 5 to 7) or `numbers`.")
    pin_hash: str = Field(max_length=200)
    issued_at: datetime
    issued_by: str = Field(max_length=32)
    revoked_at: datetime | None = None
    failures: int = Field(default=0, description="Wrong PINs in a row; five close the badge until the office opens it.")


class RosterImport(SQLModel, table=True):
    """A roster file that was read and checked, waiting to be saved. Its rows go when it is saved or a day old."""

    __tablename__ = "roster_import"
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    made_by: str = Field(max_length=32)
    made_at: datetime
    roster_version: int = Field(description="The school's roster that the file was compared with.")
    is_whole: bool = Field(description="Whether people who are not in the file have left.")
    rows: str = Field(default="", description="What was read, as JSON. Telephone numbers are sealed.")
    saved_at: datetime | None = None


class GuardianshipChange(SQLModel, table=True):
    """A change that lessens a child's protection, asked for by one person and waiting for a second (policy: CM1)."""

    __tablename__ = "guardianship_change"
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    guardianship_id: str = Field(foreign_key="guardianship.id", index=True)
    parental_responsibility: str = Field(max_length=7)
    court_order: str = Field(max_length=7)
    do_not_contact: bool
    reason: str = Field(max_length=500)
    asked_by: str = Field(max_length=32)
    asked_at: datetime
    decided_by: str = Field(default="", max_length=32)
    decided_at: datetime | None = None
    agreed: bool | None = None


class SignIn(SQLModel, table=True):
    """A server-side session. The cookie holds a token; here only its hash."""

    __tablename__ = "sign_in"
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    person_id: str = Field(foreign_key="person.id", index=True)
    token_hash: str = Field(max_length=64, unique=True)
    route: str = Field(max_length=16, description="`password`, `passkey`, `badge`, `reset`, `guest`, `phone` or `dev`.")
    started_at: datetime
    seen_at: datetime
    ends_at: datetime
    ended_at: datetime | None = None
