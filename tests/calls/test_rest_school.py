"""The whole service with a provider: a leader's grant, the decision, the record, two telephones (policy: CM2, CM3, CM4, CM5)."""

from pathlib import Path

import pytest
import structlog

from service.calls import check
from service.calls.carrying import TwoWays, way_of
from service.calls.rest.account import ProviderInvalid
from service.calls.rest.way import RestWay
from service.foundation.settings import Settings
from tests.calls.bridged import CALLER, FAMILY
from tests.calls.homes import Home
from tests.calls.people import SCHOOL
from tests.calls.provider import ACCOUNT, TOKEN
from tests.features.test_calls import approved, granted, over
from tests.home_calls import until

SECRET = {number.removeprefix("+44") for number in (CALLER, FAMILY)}


async def test_a_teacher_calls_by_their_own_phone_and_the_end_of_the_grant_is_the_end_of_the_call(home: Home) -> None:
    page = await granted(home.family)
    await approved(home.family, page)
    placed: list[bool] = []

    async def written_down() -> None:
        placed.append("CallPlaced" in await home.family.audited())

    home.beyond.before_ringing = written_down
    with structlog.testing.capture_logs() as kept:
        call_id = await home.by_telephone()
        await home.beyond.until(home.beyond.together)
        assert placed == [True, True], "each telephone is rung after the call was written down"
        assert "CallConnected" in await home.family.audited(), "and nobody was heard before that was"
        assert home.beyond.heard == [frozenset({CALLER, FAMILY})]
        assert {phone.shown for phone in home.beyond.phones.values()} == {SCHOOL}
        teacher = await home.family.as_("teacher")
        shown = [(await teacher.get(f"/calls/{call_id}")).text, (await teacher.get("/calls")).text]
        assert (await teacher.post(f"{page}/end", data={"because": "I do not need it any more"})).status_code == 303
        row = await over(home.family, call_id)
        await home.beyond.until(lambda: not home.beyond.on)
    assert row.ended_why == "rule"
    assert (await home.family.ask(by="telephone")).status_code != 303
    assert len(home.beyond.phones) == 2
    said = "\n".join([*map(str, kept), *shown, *home.beyond.paths, *(url for url, *_ in home.beyond.said)])
    assert not [number for number in SECRET if number in said]


async def test_without_a_grant_nobody_is_rung(home: Home) -> None:
    assert "You need approval" in (await home.family.ask(by="telephone")).text
    assert home.beyond.phones == {}


async def test_a_call_that_nobody_placed_is_not_on_and_the_page_says_so(home: Home) -> None:
    await approved(home.family, await granted(home.family))
    home.beyond.fails["ring"] = [400]
    call_id = await home.by_telephone()
    row = await over(home.family, call_id)
    assert row.ended_why == "not-placed"
    await until(lambda: not home.beyond.on)


async def test_who_is_nobody_to_the_provider_is_told_nothing(home: Home) -> None:
    client = home.family.school.client()
    answer = await client.post(f"/calls/provider/{'0' * 32}/answered", data={"AccountSid": ACCOUNT})
    assert answer.status_code == 404


async def test_health_and_the_technicians_check_say_how_it_is(home: Home) -> None:
    technician = await home.family.as_("technician")
    assert "A call could be placed now." in (await technician.get("/health")).text
    settings = home.family.school.app.state.settings
    assert [(each.is_well, each.words) for each in await check.check(settings)] == [
        (True, "The settings can be used."), (True, "The telephone provider answers, and knows this account and its token.")]
    settings.provider_token_file.write_text("another")
    found = await check.check(settings)
    assert not found[-1].is_well


def test_a_trunk_and_a_provider_are_one_too_many() -> None:
    with pytest.raises(TwoWays, match="not both"):
        way_of(Settings(trunk_host="sip.trunk.example", provider_url="https://api.provider.example"))
    assert way_of(Settings()) is None


@pytest.mark.parametrize(("more", "fault"), [
    ({"provider_url": "http://api.provider.example"}, "URL must be an https address"),
    ({"provider_url": "https://api.provider.example/x"}, "URL must be an https address"),
    ({"provider_url": "https://me:secret@api.provider.example"}, "URL must be an https address"),
    ({"provider_account": "AC1"}, "ACCOUNT must be"), ({"provider_token_file": None}, "TOKEN_FILE must have"),
    ({"provider_token_file": Path("/nowhere/at/all")}, "TOKEN_FILE cannot be read"),
    ({"provider_number": "01632"}, "NUMBER must be"),
    ({"provider_message": " "}, "MESSAGE must be"), ({"public_url": "http://lessons.school.example"}, "PUBLIC_URL must be"),
    ({"public_url": ""}, "PUBLIC_URL must be"),
])
def test_settings_that_cannot_be_used_are_said_in_words(tmp_path: Path, more: dict[str, object], fault: str) -> None:
    (tmp_path / "token").write_text(TOKEN)
    good = {"provider_url": "https://api.provider.example", "provider_account": ACCOUNT, "provider_number": SCHOOL,
            "provider_token_file": tmp_path / "token", "public_url": "https://lessons.school.example"}
    assert isinstance(way_of(Settings(**good)), RestWay)  # type: ignore[arg-type]
    with pytest.raises(ProviderInvalid, match=fault) as refused:
        way_of(Settings(**good | more))  # type: ignore[arg-type]
    assert TOKEN not in str(refused.value)
    assert "secret" not in str(refused.value)
