"""What the phone's API says, as its OpenAPI description tells it. Nothing here names another family's child, or a reason.

Getting in (invitations, passkeys, tokens, phones, push) is in `access`. How requests are signed, repeated and paged is in
`docs/mobile-api.md`. Words are for people; `code`, `kind` and `state` are for programs, which have words of their own in each
language.
"""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo

YesNo = Literal["yes", "no"]
YesNoUnsure = Literal["yes", "no", "unsure"]
Purpose = Literal["attend", "be_recorded", "camera", "microphone", "chat", "one_to_one", "photographs",
                  "publication", "teaching_practice"]


class Strict(BaseModel):
    """What a phone sends: a field that nobody knows is a mistake, not a wish."""

    model_config = ConfigDict(extra="forbid")


def example(**fields: Any) -> ConfigDict:
    """What a description shows of a model, as somebody would send or get it. A test sends every one through its model."""
    return ConfigDict(json_schema_extra={"examples": [fields]})


class Problem(BaseModel):
    """Every error (RFC 9457, application/problem+json). `code` is for programs, `detail` for people."""

    model_config = example(type="about:blank", title="You cannot do this", status=403, code="agreement-due",
                           detail="Sign the agreement first. Nothing else opens before.")
    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str
    errors: dict[str, str] = Field(default_factory=dict, description="Words for each field, where fields were wrong.")


# -- who one is -------------------------------------------------------------------------------------------------------


class OwnChild(BaseModel):
    id: str
    name: str


class Me(BaseModel):
    """`children` is empty alike for whoever has none and for whoever must not be told of any. `agreement` is `due` when it can
    be renewed, `not_signed` when nothing else opens until it is signed."""

    model_config = example(id="5d20…", name="Ms Rahman", school="Ashgrove School", office="the office, 01632 960001",
                           zone="Europe/London", roles=["parent"], language="en", agreement="signed",
                           children=[{"id": "9c41…", "name": "Ali"}], questions=2,
                           rules_to_sign=[{"id": "9c41…", "name": "Ali"}], unread=1, rests_until=None)
    id: str
    name: str
    school: str
    office: str = Field(description="Whom to ring, as pages say it.")
    zone: str = Field(description="The school's time zone (IANA). Times are UTC.")
    roles: list[str]
    language: str = "en"
    agreement: Literal["not_signed", "due", "signed"]
    children: list[OwnChild]
    questions: int = Field(0, description="How many permissions of all children wait for an answer.")
    rules_to_sign: list[OwnChild] = Field(default_factory=list, description=(
        "Young children whose agreement this person has to sign for them, or renew: `/agreement` has it."))
    unread: int = Field(0, description="Messages that were not read.")
    rests_until: datetime | None = Field(None, description="Until then a yes from this phone does not count yet.")


class Language(Strict):
    model_config = example(language="cy")
    language: str = Field(max_length=12, pattern=r"^[a-z]{2,3}(-[A-Za-z]{2,8})?$", examples=["cy"])


class Agreement(BaseModel):
    """One agreement: one's own, or a young child's that a parent signs (`child`). `text` is plain; a blank line parts it."""

    id: str
    audience: Literal["staff", "governors", "pupils", "parents", "guests"]
    child: OwnChild | None = None
    title: str
    version: int
    text: str
    sha256: str = Field(description="Of the text; it is kept with a signature.")
    what_changed: str = ""
    state: Literal["not_signed", "due", "signed"]
    renew_on: date | None = Field(None, description="Until when a signature stands.")


class Agreements(BaseModel):
    """`signs_as`: one's name as the school knows it, which a signature is compared with."""

    agreements: list[Agreement]
    signs_as: str


class Signature(Strict):
    """`name`: typed as the school knows it."""

    model_config = example(agreement_id="7b11…", agree=True, name="Aisha Rahman")
    agreement_id: str = Field(max_length=32)
    child_id: str | None = Field(None, max_length=32)
    agree: bool
    name: str = Field("", max_length=120)


# -- permissions ------------------------------------------------------------------------------------------------------


class Permission(BaseModel):
    """One question about one child: only this person's own answer. `rests_until`: from when their yes counts."""

    purpose: Purpose
    document_id: str
    version: int
    languages: list[str] = Field(description="In which the document can be read.")
    answer: Literal["yes", "no"] | None = None
    answered_at: datetime | None = None
    rests_until: datetime | None = None
    stands_until: date | None = Field(None, description="Of a yes: the day on which it ends.")
    needs_answer: bool = Field(description="Never answered, over, or the document has changed.")
    by_public_task: bool = Field(False, description="Of recording: the school needs no permission for it. A no is an objection, "
                                                    "which the headteacher decides.")
    objection: Literal["waits", "upheld", "declined"] | None = Field(None, description="This person's own, and the latest.")


class Consent(BaseModel):
    """What one child's parent sees. `outcome`: what this parent said, and whether the child can join; never who said what, and
    with the same answers of this parent the same, whatever others said to a question that does not keep the child out."""

    child: OwnChild
    may_answer: bool = Field(description="Whether their yes is taken. Otherwise nothing here needs an answer of theirs.")
    may_refuse: bool = Field(description="Whether their no is taken. False: “You cannot answer this here. Ring the office.”")
    responsibility: YesNoUnsure | None = Field(None, description="As declared last, with an answer.")
    permissions: list[Permission]
    outcome: list["Follows"]


class Follows(BaseModel):
    """One sentence about what holds or happens now."""

    model_config = example(code="off-now", purpose="camera", at=None, words="Ali’s camera is off from now.")
    code: Literal[
        "can-join", "cannot-join", "not-all-answers", "yes", "no", "off-now", "left-lesson", "counts-later", "not-recorded",
        "public-task", "objected", "several-asked", "starts-later",
    ]
    purpose: Purpose | None = None
    at: datetime | None = None
    words: str


ANSWERED_AT = Field(None, description="That of the permission beside which it was asked. A yes is refused (`answered-since`) "
                                      "where there is a later answer, from another phone or on paper; left out, nothing is.")


def _declared(given: YesNoUnsure | None, other: ValidationInfo) -> YesNoUnsure | None:
    if given is None and other.data.get("says_yes"):
        raise ValueError("Say whether you have parental responsibility")
    return given


Declared = Annotated[YesNoUnsure | None, AfterValidator(_declared), Field(validate_default=True, description=(
    "Parental responsibility, as declared. A no, and an objection, need none: left out, what was declared before stays."))]


class Answer(Strict):
    """A yes, a no, or another answer than before. A no and a withdrawal count at once, from any phone."""

    purpose: Purpose
    says_yes: bool
    document_id: str = Field(max_length=32, description="What was read.")
    language: str = Field("en", max_length=12)
    listened: bool = False
    reason: Literal["", "privacy", "home", "belief", "childs-wish", "other"] = ""
    relationship: str = Field("", max_length=40, description="To the child, as declared.")
    responsibility: Declared = None
    answered_at: datetime | None = ANSWERED_AT

    model_config = example(purpose="camera", says_yes=False, document_id="0f3a…", language="en", listened=True, reason="privacy",
                           relationship="Mum", responsibility="yes", answered_at="2026-11-24T09:10:00Z")


class Answered(BaseModel):
    """`follows`: what this answer did. `consent`: how everything stands now."""

    follows: list[Follows]
    consent: Consent


class Section(BaseModel):
    heading: str
    words: str


class Document(BaseModel):
    """A text that can be agreed to. What it says about a child is filled in when `child_id` is asked for."""

    id: str
    purpose: Purpose
    version: int
    language: str
    languages: list[str]
    title: str
    sections: list[Section]
    sha256: str = Field(description="Of the text as it is kept.")
    what_changed: str = ""


# -- lessons ----------------------------------------------------------------------------------------------------------


class Live(BaseModel):
    """A lesson that is on now. `words`: what a grown-up nearby is told when it is paused."""

    state: Literal["waiting", "open", "paused"]
    reason: str = ""
    words: str = ""
    is_here: bool = Field(description="Whether this child is in it now.")


class Alone(BaseModel):
    """Of an approved one-to-one: who is alone with the child, why, and who said yes."""

    adult: str
    approver: str
    why: str


class Lesson(BaseModel):
    """One lesson of one child."""

    id: str
    title: str
    class_name: str
    teacher: str
    starts_at: datetime
    ends_at: datetime
    status: Literal["planned", "open", "ended", "cancelled"]
    is_recorded: bool = Field(True, description="Always: no lesson runs unrecorded.")
    may_join: bool = Field(description="Whether the answers the school has let this child join. Never why not.")
    joined_at: datetime | None = Field(None, description="When the child last came in, once they did.")
    moved_from: datetime | None = Field(None, description="When it should have started, if it was moved.")
    live: Live | None = None
    alone: Alone | None = None


class Child(BaseModel):
    """A child whom this person may hear of: themself for a pupil."""

    id: str
    name: str
    lessons: list[Lesson]


class Timetable(BaseModel):
    """The lessons of some days. `children` is empty alike when there is nothing, and when there is nobody to tell of."""

    zone: str = Field(description="The school's time zone (IANA). Times are UTC.")
    first: date
    days: int
    children: list[Child]


class Attended(BaseModel):
    """One lesson that is over. This is not the school register (RL9)."""

    lesson_id: str
    title: str
    starts_at: datetime
    ends_at: datetime
    joined_at: datetime | None = None
    left_at: datetime | None = None
    minutes: int
    was_corrected: bool = False


class Attendance(BaseModel):
    entries: list[Attended]
    next: str | None = Field(None, description="Cursor of the next page.")


class DataUse(BaseModel):
    """What a child's lessons used this month (RL11), in megabytes of 1,000,000 bytes. `limit_mb` null: no limit."""

    month: str = Field(pattern=r"^\d{4}-\d{2}$", examples=["2026-11"])
    used_mb: int
    limit_mb: int | None = None
    choices_mb: list[int] = Field(description="The limits that can be chosen, beside none.")


class DataLimit(Strict):
    model_config = example(limit_mb=1000)
    limit_mb: int | None = Field(ge=1, le=1_000_000)


class Viewed(BaseModel):
    """Somebody watched a recording that the child is in: their role, never their name."""

    id: str
    on: date
    role: Literal["a safeguarding lead", "a member of staff"]
    minutes: int | None = Field(None, description="Where they were allowed some minutes only: how many.")
    reason: Literal["flag", "complaint", "concern", "police", "practice"]


class Views(BaseModel):
    """What can be told: views under a concern, a hold or the police are not in it until the safeguarding lead releases them."""

    entries: list[Viewed]
    next: str | None = Field(None, description="Cursor of the next page.")


class OneToOne(BaseModel):
    """A lesson of one adult and this child alone, which a leader approved. It does not happen without a yes."""

    lesson_id: str
    alone: Alone
    starts_at: datetime
    ends_at: datetime
    status: Literal["planned", "open", "ended", "cancelled"]
    answer: Literal["yes", "no"] | None = None
    will_be_there: bool | None = None
    document_id: str


class OneToOnes(BaseModel):
    one_to_ones: list[OneToOne]


class OneToOneAnswer(Strict):
    """`will_be_there`: whether a parent will sit with the child; without, only that is left as it was."""

    model_config = example(says_yes=True, document_id="0f3a…", language="en", listened=False, responsibility="yes",
                           will_be_there=True)
    says_yes: bool
    document_id: str = Field(max_length=32)
    language: str = Field("en", max_length=12)
    listened: bool = False
    responsibility: Declared = None
    will_be_there: bool | None = None
    answered_at: datetime | None = ANSWERED_AT


# -- calls ------------------------------------------------------------------------------------------------------------


class Called(BaseModel):
    """The school called about a child. `by` null: nobody was reached. Whom else it called is not said, and no number is."""

    model_config = example(id="1f0c…", placed_at="2026-11-24T09:10:00Z", caller="Mr Hall", purpose="absence", by="app",
                           seconds=134)
    id: str
    placed_at: datetime
    caller: str = Field(description="Who called, as pages name them.")
    purpose: Literal["welfare", "absence", "incident", "consent", "other"]
    by: Literal["app", "telephone"] | None
    seconds: int = Field(description="How long the two heard each other.")


class Calls(BaseModel):
    entries: list[Called]
    next: str | None = Field(None, description="Cursor of the next page.")


# -- news and worries -------------------------------------------------------------------------------------------------


class Message(BaseModel):
    """Something that a family is told. `words` are English; `kind` lets a phone say it in its own language."""

    id: str
    kind: Literal["lesson-stopped", "adult-changed", "lesson-moved", "lesson-cancelled", "not-joined", "watched",
                  "permission-ended", "one-to-one", "one-to-one-ended", "incident", "new-phone", "signed-out",
                  "reply-read", "reply-talk", "reply-done"]
    words: str
    child_id: str | None = None
    lesson_id: str | None = None
    at: datetime
    read_at: datetime | None = None


class Messages(BaseModel):
    entries: list[Message]
    unread: int
    next: str | None = Field(None, description="Cursor of the next page.")


class Concern(Strict):
    """What worries a parent (IN4). Whom it is about cannot read it. In danger: 999."""

    model_config = example(about="an-adult", adult="somebody-else", who="The one who teaches maths", reach="app",
                           words="She came home upset and would not say why.")
    about: Literal["my-child", "another-child", "an-adult", "this-app"]
    child_id: str | None = Field(None, max_length=32, description="Which child of theirs, for `my-child`.")
    adult: Literal["headteacher", "somebody-else"] = Field("somebody-else", description="For `an-adult`.")
    who: str = Field("", max_length=120, description="Whom it is about, in the parent's words.")
    words: str = Field(min_length=1, max_length=3500)
    reach: Literal["phone", "app", "do-not-contact"] = Field(description="How it is safe to reach them.")


class Sent(BaseModel):
    """Where it went, as the screen says it."""

    to: Literal["safeguarding team", "headteacher", "chair of governors"]
    reply_within: str = "1 school day"
