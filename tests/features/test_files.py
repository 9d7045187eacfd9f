"""What a device keeps between pages and days: the files that are the same for everybody, and nothing else."""

import re

import pytest

from service.app import TEMPLATES
from service.files import Editions
from service.foundation import web
from tests.school import Running


async def test_a_page_names_its_files_by_edition_and_a_device_keeps_them(school: Running) -> None:
    async with await school.signed_in("pupil") as client:
        page = await client.get(f"/lessons/{school.lesson()['id']}")
        named = re.findall(r'="(/static/[^"]+)"', page.text)
        assert any(name.endswith("/lessons/room.js") for name in named)
        for name in named:
            assert name.startswith("/static/~")
        room = next(name for name in named if name.endswith("/lessons/room.js"))
        assert "immutable" in (await client.get(room)).headers["cache-control"]
        assert "no-store" in page.headers["cache-control"]


@pytest.mark.parametrize("edition", ["", "/~0123456789abcdef"])
async def test_a_file_of_another_edition_is_served_and_not_kept(school: Running, edition: str) -> None:
    async with school.client() as client:
        answer = await client.get(f"/static{edition}/lessons/protocol.js")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"


def test_a_page_compiled_for_one_edition_is_compiled_anew_for_another() -> None:
    """What a process keeps of templates names no files that are gone."""
    def named(edition: str) -> set[str]:
        environment = web.templates(TEMPLATES)
        environment.edition = edition  # type: ignore[attr-defined]
        environment.add_extension(Editions)
        page = environment.get_template("error.html").render(
            school=None, actor=None, title="", message="", path="/", navigation=[])
        return set(re.findall(r'="/static/([^/]+)/', page))

    assert (named("one"), named("two")) == ({"~one"}, {"~two"})
