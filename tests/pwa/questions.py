"""The school's questions as `/api/v1` describes them, answered beside the real service: what a phone does with them is tested
here, what they do to a lesson elsewhere. Every answer is made by the API's own schemas, so its shape is the API's."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from playwright.async_api import Page, Route

from mobile_api import schemas
from mobile_api.schemas import Purpose

PURPOSES: tuple[Purpose, ...] = ("attend", "be_recorded", "camera", "microphone")
TITLES = {"attend": "Live lessons", "be_recorded": "Recording", "camera": "Camera", "microphone": "Microphone"}
NOW = datetime(2026, 3, 3, 10, 15, tzinfo=UTC)
ALONE = schemas.Alone(adult="Mr Hall", approver="Mrs Khan", why="Ali wants to catch up on fractions.")


@dataclass
class Questions:
    """One child's questions. `sent`: each answer that came, with its key. `loses`: how many answers to lose on the way back."""

    child: schemas.OwnChild
    answers: dict[str, str] = field(default_factory=dict)
    sent: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    known: dict[str, str] = field(default_factory=dict)
    loses: int = 0
    responsibility: Any = None
    may_answer: bool = True
    differ: bool = False
    one_to_one: str | None = None

    def consent(self) -> schemas.Consent:
        says = {purpose: self.answers.get(purpose) for purpose in PURPOSES}
        outcome = [schemas.Follows(code="yes" if say == "yes" else "no", purpose=purpose, words="")  # type: ignore[arg-type]
                   for purpose, say in says.items() if say]
        if self.differ:
            outcome = [schemas.Follows(code="not-all-answers", words="")]
        elif all(says.values()):
            joins = says["attend"] == says["be_recorded"] == "yes"
            outcome.append(schemas.Follows(code="can-join" if joins else "cannot-join", words=""))
        return schemas.Consent(
            child=self.child, may_answer=self.may_answer, responsibility=self.responsibility, outcome=outcome,
            permissions=[schemas.Permission(purpose=purpose, document_id=f"document-{purpose}", version=1, languages=["en"],
                                            answer=says[purpose], answered_at=NOW if says[purpose] else None,  # type: ignore[arg-type]
                                            needs_answer=says[purpose] is None) for purpose in PURPOSES])

    def answer(self, key: str, given: dict[str, Any]) -> str:
        """What the API does with an answer: once for its key, whatever comes again."""
        self.sent.append((key, given))
        if key not in self.known:
            wish = schemas.Answer.model_validate(given)
            was, self.answers[wish.purpose] = self.answers.get(wish.purpose), "yes" if wish.says_yes else "no"
            self.responsibility = wish.responsibility
            did = [schemas.Follows(code="off-now", purpose=wish.purpose, words="")] if was == "yes" and not wish.says_yes else []
            self.known[key] = schemas.Answered(follows=did, consent=self.consent()).model_dump_json()
        return self.known[key]

    async def beside(self, page: Page) -> None:
        await page.route("**/api/v1/children/*/consent", self._consent)
        await page.route("**/api/v1/documents/*", self._document)
        await page.route("**/api/v1/children/*/one-to-ones**", self._one_to_ones)

    async def _consent(self, route: Route) -> None:
        if route.request.method == "GET":
            return await _say(route, self.consent().model_dump_json())
        body = self.answer(route.request.headers["idempotency-key"], json.loads(route.request.post_data or ""))
        if self.loses:
            self.loses -= 1
            return await route.abort()
        await _say(route, body)

    async def _document(self, route: Route) -> None:
        purpose = route.request.url.partition("?")[0].rpartition("document-")[2]
        name = self.child.name
        await _say(route, schemas.Document(
            id=f"document-{purpose}", purpose=purpose, version=1, language="en", languages=["en"],  # type: ignore[arg-type]
            title=TITLES.get(purpose, "This one-to-one lesson"), sha256="0" * 64, sections=[
                schemas.Section(heading="What", words=f"{name} may turn the camera on. {name} chooses each time and can turn it "
                                                      "off at any time."),
                schemas.Section(heading="Who sees", words="Staff in the lesson. Not other pupils."),
                schemas.Section(heading="If you say no", words=f"{name}'s camera cannot be turned on. {name} still joins, "
                                                               "listens, talks and types."),
                schemas.Section(heading="Change your mind", words="Any time. The camera goes off at once."),
            ]).model_dump_json())

    async def _one_to_ones(self, route: Route) -> None:
        if route.request.method == "POST":
            wish = schemas.OneToOneAnswer.model_validate(json.loads(route.request.post_data or ""))
            self.one_to_one = "yes" if wish.says_yes else "no"
        await _say(route, schemas.OneToOnes(one_to_ones=[schemas.OneToOne(
            lesson_id="lesson-1", alone=ALONE, starts_at=NOW, ends_at=NOW + timedelta(minutes=30), status="planned",
            answer=self.one_to_one, document_id="document-one_to_one")]).model_dump_json())  # type: ignore[arg-type]


async def _say(route: Route, body: str) -> None:
    await route.fulfill(status=200, content_type="application/json", body=body)
