"""One's own phones: who is signed in where, signing out, and where notices go."""

from fastapi import Request

from mobile_api import access
from mobile_api.once import Once, OnceClosing
from mobile_api.route import NOT_CHANGED, Unsigned, router_of
from service.foundation.errors import Conflict
from service.foundation.web import Now, Reading
from service.people.phones import commands, queries
from service.people.phones.tables import Phone
from service.people.push import commands as push

router = router_of("Phones")


class NoPhone(Conflict):
    """This is for a phone that is signed in with its own key."""

    code = "no-phone"


def this_phone(request: Request) -> Phone:
    """The phone that asks. Raises NoPhone for a browser's session."""
    phone: Phone | None = getattr(request.state, "phone", None)
    if phone is None:
        raise NoPhone()
    return phone


@router.get("/phones", operation_id="phones", summary="Where one is signed in", responses=NOT_CHANGED)
async def phones(request: Request, actor: Unsigned, session: Reading, now: Now) -> access.Phones:
    own = await queries.phones(session, actor.person_id, now, seen=request.app.state.seen, here=actor.session_id)
    return access.Phones(phones=[access.phone(one) for one in own if one.is_signed_in])


@router.delete("/phones", operation_id="sign_out_other_phones", summary="Sign every other phone out for good")
async def sign_out_others(request: Request, actor: Unsigned, session: OnceClosing, now: Now) -> access.Phones:
    await commands.remove_others(session, actor, this_phone(request).id, now)
    own = await queries.phones(session, actor.person_id, now, here=actor.session_id)
    return access.Phones(phones=[access.phone(one) for one in own if one.is_signed_in])


@router.delete("/phones/{phone_id}", operation_id="sign_out_phone", summary="Sign one phone out for good", status_code=204)
async def sign_out_phone(actor: Unsigned, session: OnceClosing, now: Now, phone_id: str) -> None:
    await commands.remove(session, actor, phone_id, now)


@router.delete("/session", operation_id="sign_out", summary="Sign out here, or everywhere", status_code=204)
async def sign_out(actor: Unsigned, session: OnceClosing, now: Now, everywhere: bool = False) -> None:
    """This phone stays known and signs in again with its passkey; notices to it stop. Everywhere: browsers as well."""
    await commands.sign_out(session, actor, everywhere=everywhere, now=now)


@router.get("/push", operation_id="push_key", summary="The key for notices, and whether this phone gets them",
            responses=NOT_CHANGED)
async def push_key(request: Request, actor: Unsigned, session: Reading) -> access.PushKey:
    is_on = await queries.takes_notices(session, actor, this_phone(request).id)
    return access.PushKey(public_key=request.app.state.pusher.application_key, is_on=is_on)


@router.put("/push", operation_id="turn_on_push", summary="Send notices to this phone", status_code=204)
async def turn_on(request: Request, actor: Unsigned, session: Once, now: Now, given: access.PushSubscription) -> None:
    await push.turn_on(session, actor, phone_id=this_phone(request).id, endpoint=given.endpoint, p256dh=given.keys.p256dh,
                       auth=given.keys.auth, allowed=request.app.state.pusher.allowed, now=now)


@router.delete("/push", operation_id="turn_off_push", summary="Send this phone no notices", status_code=204)
async def turn_off(request: Request, actor: Unsigned, session: Once) -> None:
    await push.turn_off(session, actor, phone_id=this_phone(request).id, why="asked")


