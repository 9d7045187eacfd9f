"""What the phone's API says about getting in: invitations, passkeys, tokens, phones. As OpenAPI describes it."""

from datetime import date, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from mobile_api.schemas import Strict, example
from service.people.phones.queries import PhoneView

PHONE = {"name": "My phone", "platform": "android", "language": "en"}
MADE = {"id": "mO2…", "rawId": "mO2…", "type": "public-key", "clientExtensionResults": {},
        "response": {"clientDataJSON": "eyJ…", "attestationObject": "o2N…", "transports": ["internal"]}}
GOT = MADE | {"response": {"clientDataJSON": "eyJ…", "authenticatorData": "SZY…", "signature": "MEU…", "userHandle": "NWQ…"}}
LANGUAGE = r"^[a-z]{2,3}(-[A-Za-z]{2,8})?$"


class Opening(Strict):
    """What is on the letter, what came another way, and what the family knows."""

    token: str = Field(min_length=1, max_length=200, description="The part of the letter's link after `#`.")
    code: str = Field(min_length=1, max_length=20, description="The 6 figures; spaces do not matter.")
    born_on: date = Field(description="When a child of theirs was born. Never shown by anything.")

    model_config = example(token="q3v1…", code="402 117", born_on="2016-03-27")


class Opened(BaseModel):
    """The invitation was right. `invitation` proves that for some minutes and belongs into `/passkeys/register/begin`."""

    invitation: str
    school: str
    office: str = Field(description="Whom to ring, as pages say it.")


class RegisterBegin(Strict):
    model_config = example(invitation="b5aa…")
    invitation: str = Field(max_length=400)


class Ceremony(BaseModel):
    """One WebAuthn ceremony. `publicKey` is what `navigator.credentials.create` or `.get` takes (JSON form, base64url);
    `ticket` goes back with the answer."""

    ticket: str
    public_key: dict[str, Any] = Field(alias="publicKey")
    model_config = ConfigDict(populate_by_name=True)


class ThisPhone(Strict):
    """What the phone says about itself: for its owner's list and for the office."""

    name: str = Field(min_length=1, max_length=60, examples=["My phone"])
    platform: Literal["android", "ios", "other"] = "other"
    language: str = Field("en", max_length=12, pattern=LANGUAGE)


class RegisterFinish(Strict):
    """With a DPoP proof (header `DPoP`): the key that made it is this phone's from now on."""

    model_config = example(invitation="b5aa…", ticket="77f0…", credential=MADE, phone=PHONE)
    invitation: str = Field(max_length=400)
    ticket: str = Field(max_length=400)
    credential: dict[str, Any] = Field(description="RegistrationResponseJSON (WebAuthn level 3, 5.1.8).")
    phone: ThisPhone


class SignInFinish(Strict):
    """With a DPoP proof. A key that is known stays the phone it was; another one is a new phone, which rests for a day."""

    model_config = example(ticket="77f0…", credential=GOT, phone=PHONE)
    ticket: str = Field(max_length=400)
    credential: dict[str, Any] = Field(description="AuthenticationResponseJSON (WebAuthn level 3, 5.1.8).")
    phone: ThisPhone


class Refresh(Strict):
    """With a DPoP proof under the phone's key."""

    model_config = example(refresh_token="Zk3v…")
    refresh_token: str = Field(max_length=200)


class Phone(BaseModel):
    """One of a person's phones. `rests_until`: until then a yes does not count yet; looking and saying no do."""

    id: str
    name: str
    platform: Literal["android", "ios", "other"]
    added_at: datetime
    seen_at: datetime
    is_this_one: bool
    rests_until: datetime | None = None


class Phones(BaseModel):
    phones: list[Phone]


class Tokens(BaseModel):
    """RFC 6749 with RFC 9449: send `Authorization: DPoP <access_token>` and a fresh proof with every request."""

    access_token: str
    token_type: Literal["DPoP"] = "DPoP"
    expires_in: int = Field(300, description="Seconds.")
    refresh_token: str = Field(description="Good for one use. Used again, every token of this phone stops.")
    phone: Phone


class PushKeys(Strict):
    p256dh: str = Field(min_length=80, max_length=100)
    auth: str = Field(min_length=16, max_length=40)


class PushSubscription(Strict):
    """PushSubscription.toJSON() without the expiry."""

    model_config = example(endpoint="https://fcm.googleapis.com/fcm/send/cZ1…", keys={"p256dh": "B" * 87, "auth": "a" * 22})
    endpoint: str = Field(min_length=10, max_length=500, pattern=r"^https?://")
    keys: PushKeys


class PushKey(BaseModel):
    """`public_key`: the applicationServerKey (VAPID, RFC 8292). `is_on`: whether this phone has a subscription."""

    public_key: str
    is_on: bool


def phone(own: PhoneView) -> Phone:
    return Phone(id=own.id, name=own.name, platform=own.platform, added_at=own.added_at, seen_at=own.seen_at,
                 is_this_one=own.is_this_one, rests_until=own.rests_until)
