"""What the impact assessment says in its own words. Whatever is said here of the service is true of it because of the rule whose
id stands beside it (docs/policy.md). Not legal advice: the Data Protection Officer decides."""

from dataclasses import dataclass

from service.foundation.events import Role
from service.people.profile import RecordingBasis
from service.people.rules import ROLE_WORDS


@dataclass(frozen=True)
class Kind:
    """A kind of data: of whom, why it may be kept, how long (with the school's own numbers)."""

    name: str
    whose: str
    basis: str
    kept: str


PUBLIC_TASK = "Public task, UK GDPR article 6(1)(e): the school's duty to teach and to keep children safe."
LEGAL_DUTY = "Legal obligation, article 6(1)(c)"
SUBSTANTIAL = ("where it is special category data: substantial public interest, article 9(2)(g), Data Protection Act 2018, "
               "schedule 1, paragraph 18 (safeguarding of children)")
KINDS = {
    "school": Kind(
        "The school's own rules",
        "Of the people who decided them.",
        PUBLIC_TASK,
        "As long as the school uses this service.",
    ),
    "people": Kind(
        "People and classes",
        "Of pupils, staff, governors, parents and guests.",
        PUBLIC_TASK,
        "While they are at the school; who has left has no access, and their record stays for what they took part in.",
    ),
    "families": Kind(
        "Families",
        "Of pupils and their adults; court orders are among it.",
        f"{PUBLIC_TASK} Court orders: {SUBSTANTIAL}.",
        "While the child is at the school.",
    ),
    "access": Kind(
        "Signing in",
        "Of everybody with an account. Secrets are kept as hashes or encrypted.",
        f"{LEGAL_DUTY}: security of processing, article 32.",
        "Sign-ins for as long as the audit; secrets until replaced.",
    ),
    "permissions": Kind(
        "Permissions and agreements",
        "Of families, pupils, staff, governors and guests.",
        f"{PUBLIC_TASK} The answer itself is permission under school rules, kept as proof (article 5(2)).",
        "An agreement is signed again after {agreement} days; earlier answers stay as proof of what was agreed.",
    ),
    "checks": Kind(
        "Checks of adults",
        "Of staff and guests.",
        f"{LEGAL_DUTY}: Keeping children safe in education, the single central record; Data Protection Act 2018, "
        "section 10(5) and schedule 1, paragraph 18 for criminal records data. The certificate's content is not "
        "kept.",
        "While they work at the school.",
    ),
    "lessons": Kind(
        "Lessons",
        "Of pupils and adults in them: presence, chat, what they answered at the door.",
        PUBLIC_TASK,
        "Registers and journals as long as the school keeps its own; chat with the recording's journal.",
    ),
    "calls": Kind(
        "Calls to families",
        "Of families that were called, of whoever called, and of the child it was about. Nothing that was said.",
        PUBLIC_TASK,
        "As long as the pupil's file.",
    ),
    "recordings": Kind(
        "Recordings",
        "Of everybody who is heard or seen in a lesson, and of whoever watches it.",
        f"See above; {SUBSTANTIAL}.",
        "{days} days, one-to-ones {alone} days, then the key is destroyed and with it the recording (policy: RE2, RE3)."
        " Two people can keep one for longer, for a reason and a review date (policy: RE5).",
    ),
    "safeguarding": Kind(
        "Worries and concerns",
        "Of children, and of adults whom they are about.",
        f"{LEGAL_DUTY} and public task: Children Act 2004, section 11; Education Act 2002, section 175; "
        f"{SUBSTANTIAL}.",
        "As long as a safeguarding file has to be kept: until the child is 25, unless your schedule says otherwise.",
    ),
    "incidents": Kind(
        "Incidents",
        "Of pupils: what happened, their part in it, the sanction each was given, and that the family was told; of adults whom "
        "an incident is about.",
        f"{PUBLIC_TASK}; Education and Inspections Act 2006, sections 89 and 90; {SUBSTANTIAL}.",
        "As long as the pupil's file.",
    ),
    "breaches": Kind(
        "Data breaches",
        "Of whoever recorded them.",
        f"{LEGAL_DUTY}: article 33(5).",
        "As long as the school uses this service.",
    ),
    "proof": Kind(
        "The audit",
        "Of everybody who does anything, by numbers; names are not in it.",
        f"{LEGAL_DUTY}: accountability, article 5(2), and security, article 32.",
        "As long as the school uses this service: an audit that forgets proves nothing. Mails a month.",
    ),
}
BASIS_OF_RECORDING = {
    RecordingBasis.CONSENT: (
        "Public task for the lesson itself; a child is recorded, seen and heard only with each family's permission."
    ),
    RecordingBasis.PUBLIC_TASK: "Public task, recording included; a family may object, and the headteacher decides (article 21).",
}
PURPOSE = (
    ("What",
     "Live lessons at a distance for pupils who cannot be in school: sound, pictures, chat and a shared screen, "
     "recorded."),
    ("Why it needs an assessment",
     "Children, recorded at home, systematically: article 35, and the ICO's list (vulnerable people, innovative "
     "technology)."),
    ("Why recorded",
     "So that somebody can check when anything goes wrong (policy: RL4). Never for advertising, never to judge a "
     "teacher, never to train a machine."),
    ("Why no less would do",
     "A lesson that nobody can look at afterwards is one in which a child has only their word. Cameras are off until a "
     "pupil switches them on; the time it is kept is short; nobody watches without a reason."),
    ("Who answers for it",
     "The school is the controller. It runs the service itself; nobody else runs it for the school unless the school "
     "has somebody do so, who is then its processor."),
)
RISKS = (
    ("An adult alone with a child",
     "Sound and pictures flow only while two children, two cleared adults or one approved pair are there, checked at "
     "every packet (policy: RL1)."),
    ("A recording is watched out of curiosity",
     "Only the safeguarding team, with a reason that is kept; others by permission for some minutes; the headteacher is"
     " told (policy: RE1)."),
    ("A recording is copied",
     "Staff cannot download; the viewer's name stands across the picture; it is encrypted on the disk with a key of its"
     " own (policy: RE4, AC4). A photograph of a screen cannot be prevented."),
    ("A home is shown",
     "Blur is on by default, cameras are off until switched on, an adult can stop one at once (policy: RL3)."),
    ("An abusive adult in a family learns where a child is",
     "No number or address is shown; who must not be contacted is told nothing; no mail names anybody (policy: CM1, "
     "CM5)."),
    ("Somebody signs in as somebody else",
     "Passkeys, PINs under a key, limits on tries, one place per pupil, a proof for each decision that matters (policy:"
     " AC1, AC9). Who signs in with another child's badge and PIN is that child to the software."),
    ("It is kept too long", "Keys are destroyed on their day by the service, with a certificate (policy: RE3)."),
    ("It is lost",
     "Every line is on the disk before anybody is told; encrypted back-ups; a restore ends what may have ended since "
     "(policy: AC6)."),
    ("Whoever runs the server",
     "Sees a lesson while it is live, and with the disk and the key folder every recording until its day: choose them "
     "as you choose who holds the keys of the building."),
)
OUTSIDE = (
    ("By default",
     "Nobody. Pages load nothing from elsewhere, and no part of the service calls out but for what the school sets up."),
    ("If the school sets it up",
     "Its mail server (that something waits, and nothing else); a store for recordings, which gets them encrypted; a "
     "place for back-ups, encrypted. Each is a processor: the contract is the school's."),
    ("Countries", "Wherever the school runs it. Nothing leaves the United Kingdom by the service's own doing."),
    ("Police and social care", "By a named person, recorded, encrypted to the receiver (policy: RC3, DE4)."),
)
RIGHTS = (
    ("To know", "At the door of each lesson and at signing, everybody is told that it is recorded and checked (policy: CO6)."),
    ("To see",
     "The office finds what is kept of a person; a recording is shown to a family by the safeguarding team, who see to "
     "the privacy of the other children."),
    ("To correct", "People, attendance and answers are corrected by adding, so that what was there before can be seen."),
    ("To object or to take back a yes", "At any time; it acts within a second, also in a lesson that is on (policy: CO2)."),
    ("To erase",
     "Recordings end on their day or earlier by the safeguarding lead's decision. What keeps a child safe is not erased"
     " on request (article 17(3))."),
    ("Decisions by machine", "None about a person. The software closes a room; people decide everything else."),
)
OPEN_POINTS = (
    ("The legal reason for recording", "Yours to choose in the school's rules. Until you do: each family's permission."),
    ("Older pupils' own answers", "From which age a pupil is asked too. Until you do: parents answer."),
    ("How long safeguarding files are kept", "By your retention schedule. Until you do: until the child is 25."),
    ("Whether calls to families are recorded", "Until you decide: they are not; time and length are kept."),
    ("Whether parents and pupils were asked about this",
     "Article 35(9). The service cannot know: say so in your own words in your answer."),
    ("Whether the ICO has to be asked first",
     "Article 36, if a high risk remains. With the measures above we think it does not."),
)


def role(role: Role) -> str:
    return ROLE_WORDS[role]
