"""Who reacts to what, on one screen. The only importer of both ends."""

from consent import events as consents
from consent import mails as consent_mails
from consent.agreements import commands as agreement_commands
from consent.agreements import events as agreements
from consent.documents import commands as documents
from consent.documents.events import ConsentDocumentPublished
from lessons import events as lessons
from lessons import mails
from lessons.attention import events as attention
from lessons.attention.withdrawals import put_before_the_team
from lessons.breakouts import events as breakouts
from lessons.family import commands as families
from lessons.guards import refuse_adults_of_their_lessons
from lessons.guests import events as guests
from lessons.live.facts import LessonStopped
from lessons.live.registry import cut_off, refresh_rooms, refresh_rooms_of, withhold
from lessons.one_to_one.commands import cancel_what_is_to_come
from mobile_api.calling import way as app_way
from recordings import events as recordings
from recordings.ending import events as endings
from recordings.erasure import events as erasures
from recordings.forgetting import forget_key, set_apart
from recordings.practice import commands as practice
from recordings.practice import events as practices
from recordings.preparation.commands import forget
from service.calls import desk
from service.calls import events as calls
from service.calls import mails as call_mails
from service.calls.commands import forget_numbers
from service.foundation.banners import ring
from service.foundation.bus import AfterCommit, Closing, InTransaction, Subscribers
from service.foundation.events import Event
from service.people import events as people
from service.people.phones import events as phones
from service.safeguarding import events as safeguarding
from service.safeguarding import mails as alert_mails
from service.safeguarding.approvals import events as approvals
from service.safeguarding.approvals.revocation import end_what_nobody_may_approve_any_more
from service.safeguarding.commands import release_what_nobody_has
from service.safeguarding.impact import commands as impact_commands
from service.safeguarding.impact.events import ImpactReviewed
from service.safeguarding.incidents import events as incidents
from service.safeguarding.incidents import mails as incident_mails
from service.safeguarding.reopening.events import LessonsReopened

CHANGES_A_ROOM: tuple[type[Event], ...] = (
    consents.ConsentRecorded, consents.ConsentWithdrawn, consents.ConsentCorrected, consents.ObjectionReceived,
    consents.ObjectionDecided, consents.ConsentConflictClosed, ConsentDocumentPublished, agreements.AgreementSigned,
    lessons.LessonMoved, lessons.LessonCancelled, lessons.CoverArranged,
    lessons.SecondAdultAdded, lessons.LinkAdded, lessons.LinkPreviewed, lessons.LinkRemoved, lessons.WordListChanged,
    LessonStopped, people.RolesChanged, people.PersonLeft, people.GroupChanged,
    people.GuardianshipAdded, people.GuardianshipChanged,
    people.DbsWithdrawn, people.RosterImported, ImpactReviewed, approvals.OneToOneApproved, approvals.OneToOneRevoked,
    guests.GuestApproved, guests.GuestPassEnded,
    breakouts.BreakoutOpened, breakouts.PupilPlaced, breakouts.BreakoutsClosed,
)
ENDS_SIGN_INS: tuple[type[Event], ...] = (people.SignedOut, people.SessionsEnded)
CHANGES_A_CALL: tuple[type[Event], ...] = (
    people.RolesChanged, people.PersonLeft, people.GroupChanged, people.GuardianshipAdded, people.GuardianshipChanged,
    people.DbsWithdrawn, people.RosterImported, people.ProfileChanged, lessons.LessonCancelled, lessons.CoverArranged,
    calls.PersonalPhoneEnded, calls.SchoolNumberChanged, calls.OwnNumberChanged, people.SignedOut, people.SessionsEnded,
)
CALLS_SOMEBODY: tuple[type[Event], ...] = (
    safeguarding.AlertRaised, safeguarding.AlertMoved, safeguarding.AlertNoted, safeguarding.AlertTaken,
    safeguarding.AlertClosed, safeguarding.AlertPassedOn, safeguarding.AlertHandedOver, safeguarding.AlertReleased,
    safeguarding.AlertReopened, safeguarding.AlertResumed, attention.LessonNeedsAttention, attention.AttentionTaken,
    attention.AttentionOver, approvals.OneToOneApproved, approvals.OneToOneRefused, approvals.OneToOneWithdrawn,
    endings.HoldStepTaken, LessonsReopened, ImpactReviewed, people.SignedOut, people.SessionsEnded, people.RolesChanged,
    people.PersonLeft, recordings.RecordingViewed, erasures.ErasureDecided, erasures.ErasureAnswered,
    practices.PracticeAsked, practices.PracticeAgreed, practices.PracticeEnded,
)
"""Or calls them no longer; and who is signed out is not kept waiting for news."""
CLOSING: dict[type[Event], tuple[Closing, ...]] = {
    approvals.OneToOneRevoked: (withhold,), people.SignedOut: (cut_off, desk.cut_off, app_way.cut_off),
    people.SessionsEnded: (cut_off, desk.cut_off, app_way.cut_off), calls.PersonalPhoneEnded: (desk.end_personal,),
    endings.DestructionBegun: (forget_key,), endings.HoldStepTaken: (set_apart,), recordings.RecordingKeyDestroyed: (forget_key,),
}
AFTER_COMMIT: dict[type[Event], tuple[AfterCommit, ...]] = {
    event: ((refresh_rooms,) if event in CHANGES_A_ROOM else ()) + ((refresh_rooms_of,) if event in ENDS_SIGN_INS else ())
    + ((desk.look,) if event in CHANGES_A_CALL else ()) + ((ring,) if event in CALLS_SOMEBODY else ())
    for event in (*CHANGES_A_ROOM, *ENDS_SIGN_INS, *CHANGES_A_CALL, *CALLS_SOMEBODY)
} | {recordings.RecordingKeyDestroyed: (forget,)}

LEAVES: tuple[InTransaction, ...] = (forget_numbers,)
LEAVES_ROLES: tuple[InTransaction, ...] = (end_what_nobody_may_approve_any_more, release_what_nobody_has)
IN_TRANSACTION: dict[type[Event], tuple[InTransaction, ...]] = {
    safeguarding.AlertRaised: (alert_mails.write,), safeguarding.AlertMoved: (alert_mails.write,),
    safeguarding.AlertReopened: (alert_mails.write,), safeguarding.AlertReleased: (alert_mails.write,),
    safeguarding.AlertPassedOn: (alert_mails.pass_on,), safeguarding.AlertHandedOver: (alert_mails.hand_over,),
    safeguarding.AlertTaken: (alert_mails.call_off,),
    safeguarding.AlertClosed: (alert_mails.call_off,),
    attention.LessonNeedsAttention: (mails.call,), attention.AttentionTaken: (mails.call_off,),
    attention.AttentionOver: (mails.call_off,), LessonStopped: (mails.news, families.tell_of_lesson),
    lessons.CoverArranged: (mails.news, families.tell_of_lesson), lessons.LessonMoved: (mails.news, families.tell_of_lesson),
    lessons.LessonCancelled: (mails.news, families.tell_of_lesson),
    approvals.OneToOneAsked: (mails.ask_to_decide,), approvals.OneToOneQuestioned: (mails.answer,),
    approvals.OneToOneRefused: (mails.answer,), approvals.OneToOneApproved: (mails.approve, families.tell_of_one_to_one),
    approvals.OneToOneWithdrawn: (mails.decided,), approvals.OneToOneNotNeeded: (mails.decided,),
    approvals.OneToOneRevoked: (families.tell_of_one_to_one, cancel_what_is_to_come),
    people.RolesChanged: LEAVES_ROLES, people.PersonLeft: LEAVES_ROLES + LEAVES, people.RosterImported: LEAVES_ROLES + LEAVES,
    **dict.fromkeys((people.PersonAdded, people.PersonReturned, people.PeopleStaged), (impact_commands.refuse_real_pupils,)),
    **dict.fromkeys((guests.GuestApproved, guests.GuestRefused, lessons.LessonApproved, lessons.LessonRefused, people.RoleAgreed,
                     people.RoleRefused, people.ProfileChanged, people.ProfileChangeRefused), (mails.tell_asker,)),
    consents.ConsentRecorded: (consent_mails.tell_respondent, put_before_the_team, practice.look_again),
    consents.RefusalKept: (consent_mails.tell_respondent,),
    consents.ConsentWithdrawn: (consent_mails.tell_respondent, put_before_the_team, mails.place_ended,
                                 families.tell_of_permission, practice.look_again),
    consents.ConsentCorrected: (consent_mails.tell_respondent, practice.look_again),
    consents.ConsentConflictClosed: (practice.look_again,),
    safeguarding.ParentAnswered: (families.tell_of_reply,),
    phones.PhoneAdded: (families.tell_of_phone,), phones.RefreshReused: (families.tell_of_phone,),
    calls.PersonalPhoneAsked: (call_mails.ask_to_decide,), calls.OwnPhoneUsedInEmergency: (call_mails.tell_leaders,),
    **dict.fromkeys((calls.PersonalPhoneApproved, calls.PersonalPhoneRefused, calls.PersonalPhoneEnded), (call_mails.answer,)),
    incidents.IncidentEscalated: (incident_mails.ask,), incidents.FamilyToldOfIncident: (families.tell_of_incident,),
    people.SchoolFounded: (documents.begin, agreement_commands.begin),
    people.BadgeIssued: (refuse_adults_of_their_lessons,), people.BadgeUnlocked: (refuse_adults_of_their_lessons,),
}

SUBSCRIBERS = Subscribers(closing=CLOSING, in_transaction=IN_TRANSACTION, after_commit=AFTER_COMMIT)
