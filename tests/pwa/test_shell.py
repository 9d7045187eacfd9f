"""How the parents' app is served: strict, whole, and about nobody."""

import gzip
import json
import re

from mobile_api.pwa.shell import Shell
from tests.school import Running


async def test_every_address_of_the_app_is_the_same_page(school: Running) -> None:
    async with school.client() as client:
        pages = [(await client.get(path)).text for path in ("/m/", "/m/permissions/anybody", "/m/concern")]
    assert len(set(pages)) == 1
    assert "data-edition" in pages[0]


async def test_nothing_from_elsewhere_runs_in_the_app(school: Running) -> None:
    async with school.client() as client:
        answer = await client.get("/m/")
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert answer.headers["cache-control"] == "no-store"
    assert re.findall(r"<script(?![^>]*\bsrc=)[^>]*>", answer.text) == ['<script type="application/json" id="languages">']


async def test_files_are_kept_for_ever_and_only_of_this_edition(school: Running) -> None:
    shell = school.app.state.parents_app
    async with school.client() as client:
        for name, file in shell.files.items():
            answer = await client.get(shell.address(name))
            assert (answer.status_code, answer.content) == (200, file.body), name
            assert "immutable" in answer.headers["cache-control"]
        old = await client.get(shell.address("app.js").replace(shell.edition, "0" * 16))
        assert old.status_code == 404
        assert (await client.get(f"/m/files/{shell.edition}/../pages.py")).status_code in (404, 200)
        assert "_shell" not in (await client.get(f"/m/files/{shell.edition}/%2e%2e/pages.py")).text


async def test_files_travel_compressed(school: Running) -> None:
    shell = school.app.state.parents_app
    async with school.client() as client:
        answer = await client.get(shell.address("app.js"), headers={"accept-encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(shell.files["app.js"].small) == shell.files["app.js"].body


async def test_the_service_worker_keeps_the_whole_app_and_nothing_else(school: Running) -> None:
    shell = school.app.state.parents_app
    async with school.client() as client:
        text = (await client.get("/m/sw.js")).text
    told = json.loads(text.split("\n")[0].removeprefix("self.shell = ").removesuffix(";"))
    assert told["files"] == [shell.address(name) for name in shell.files]
    assert "/api/" not in json.dumps(told)


async def test_a_phone_can_install_it(school: Running) -> None:
    async with school.client() as client:
        said = (await client.get("/m/manifest.webmanifest")).json()
        assert (said["scope"], said["start_url"], said["display"]) == ("/m/", "/m/", "standalone")
        sizes = {(icon["sizes"], icon["purpose"]) for icon in said["icons"]}
        assert {("192x192", "any"), ("512x512", "any"), ("512x512", "maskable")} <= sizes
        for icon in said["icons"]:
            assert (await client.get(icon["src"])).content.startswith(b"\x89PNG")


async def test_a_change_of_one_file_is_another_edition(tmp_path_factory) -> None:  # type: ignore[no-untyped-def]
    from shutil import copytree

    from mobile_api.pwa.shell import HERE

    folder = tmp_path_factory.mktemp("app") / "static"
    copytree(HERE, folder)
    before = Shell(folder).edition
    assert before == Shell(HERE).edition
    (folder / "words" / "cy.json").write_text((folder / "words" / "cy.json").read_text() + " ")
    assert Shell(folder).edition != before
