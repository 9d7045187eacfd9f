"""A hosted provider, as far as anybody needs it to be called by: a real HTTP server that rings telephones and asks what to do.

Its faults are what a test sets. `heard` is the truth that no telephone can see: who was in one room with whom, and when.
"""

import asyncio
import base64
import hashlib
import hmac
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

ACCOUNT, TOKEN = "AC" + "5" * 32, "the-account's-token"
ENDED = ("completed", "busy", "no-answer", "failed", "canceled")


@dataclass
class Does:
    """What whoever has a telephone does. `presses`: when asked to; `stays`: does not hang up by themselves."""

    answers: bool = True
    busy: bool = False
    presses: str = "1"
    stays: bool = True


@dataclass(eq=False)
class Phone:
    sid: str
    to: str
    shown: str
    url: str
    callback: str
    does: Does
    direction: str = "outbound-api"
    status: str = "queued"
    room: str = ""
    played: list[str] = field(default_factory=list)
    digits: str = ""
    told: int = 0
    task: asyncio.Task[None] | None = None

    @property
    def is_on(self) -> bool:
        return self.status not in ENDED

    def shape(self) -> dict[str, str]:
        return {"sid": self.sid, "status": self.status, "direction": self.direction, "from": self.shown, "to": self.to}


class Provider:
    """`people`: by number. `fails`: per action the statuses that are answered instead, one after another; `lost`: done, and yet
    answered with a 503; `slow`: seconds before it is done. `twice`: every word to us is said twice; `mute`: no news at all;
    `disorder`: an end is told of, then a ringing."""

    def __init__(self) -> None:
        self.people: dict[str, Does] = {}
        self.phones: dict[str, Phone] = {}
        self.fails: dict[str, list[int]] = {}
        self.lost: set[str] = set()
        self.slow: dict[str, float] = {}
        self.twice = self.mute = self.disorder = False
        self.said: list[tuple[str, bytes, str, int]] = []
        """What was said to us: address, body, signature, and our answer's status."""
        self.paths: list[str] = []
        self.texts: list[dict[str, str]] = []
        self.heard: list[frozenset[str]] = []
        """The numbers of every two who came to be in one room."""
        self.before_ringing: Callable[[], Coroutine[Any, Any, None]] | None = None
        self.url = ""
        self._client = httpx.AsyncClient(timeout=5)
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[Any]] = set()

    # -- what a test asks

    @property
    def on(self) -> list[Phone]:
        return [phone for phone in self.phones.values() if phone.is_on]

    def phone(self, to: str) -> Phone:
        return next(phone for phone in self.phones.values() if phone.to == to)

    def together(self) -> bool:
        """Whether any two hear each other now."""
        rooms = [phone.room for phone in self.on if phone.room]
        return len(rooms) > len(set(rooms))

    async def until(self, true: Callable[[], bool], seconds: float = 6) -> None:
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(true)

    async def hangs_up(self, phone: Phone) -> None:
        await self._end(phone, "completed")

    async def say(self, url: str, body: bytes, signature: str) -> httpx.Response:
        """Anybody can say anything to us."""
        return await self._client.post(url, content=body, headers={
            "content-type": "application/x-www-form-urlencoded", "x-twilio-signature": signature.encode("latin-1")})

    def sign(self, url: str, form: dict[str, str]) -> str:
        """As the provider documents it, written down apart from the service's own."""
        words = url
        for name in sorted(form):
            words += name + form[name]
        return base64.b64encode(hmac.new(TOKEN.encode(), words.encode(), hashlib.sha1).digest()).decode()

    # -- the REST interface

    async def answer(self, request: Request) -> Response:
        if not self._knows(request):
            return JSONResponse({"code": 20003}, 401)
        sid, form = request.path_params.get("sid", ""), await request.form()
        self.paths.append(str(request.url))
        await self._note()
        action = ("ring" if request.method == "POST" and not sid else "cut" if "Status" in form else "tell"
                  if request.method == "POST" else "look" if sid else "list")
        await asyncio.sleep(self.slow.get(action, 0))
        if self.fails.get(action):
            return JSONResponse({"code": 1}, self.fails[action].pop(0))
        done = await getattr(self, f"_{action}")(request, sid, form)
        return JSONResponse({"code": 1}, 503) if action in self.lost else done

    async def account(self, request: Request) -> Response:
        known = self._knows(request)
        return JSONResponse({"sid": ACCOUNT, "status": "active"} if known else {"code": 20003}, 200 if known else 401)

    @staticmethod
    def _knows(request: Request) -> bool:
        return request.headers.get("authorization") == "Basic " + base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()

    async def _ring(self, request: Request, sid: str, form: Any) -> Response:
        if self.before_ringing is not None:
            await self.before_ringing()
        phone = Phone("CA" + secrets.token_hex(16), str(form["To"]), str(form["From"]), str(form["Url"]),
                      str(form["StatusCallback"]), self.people[str(form["To"])])
        self.phones[phone.sid] = phone
        phone.task = self._spawn(self._live(phone))
        await self._note()
        return JSONResponse(phone.shape(), 201)

    async def _tell(self, request: Request, sid: str, form: Any) -> Response:
        phone = self.phones.get(sid)
        if phone is None or phone.status != "in-progress":
            return JSONResponse({"code": 21220}, 400)
        self._do(phone, str(form["Twiml"]))
        await self._note()
        return JSONResponse(phone.shape())

    async def _cut(self, request: Request, sid: str, form: Any) -> Response:
        phone = self.phones.get(sid)
        if phone is None or not phone.is_on:
            return JSONResponse({"code": 21220}, 400)
        self._spawn(self._end(phone, "completed" if phone.status == "in-progress" else "canceled"))
        await self.until(lambda: not phone.is_on)
        return JSONResponse(phone.shape())

    async def _look(self, request: Request, sid: str, form: Any) -> Response:
        phone = self.phones.get(sid)
        return JSONResponse(phone.shape()) if phone else JSONResponse({"code": 20404}, 404)

    async def _list(self, request: Request, sid: str, form: Any) -> Response:
        status = request.query_params["Status"]
        return JSONResponse({"calls": [phone.shape() for phone in self.phones.values() if phone.status == status]})

    async def text(self, request: Request) -> Response:
        if not self._knows(request):
            return JSONResponse({"code": 20003}, 401)
        self.paths.append(str(request.url))
        if self.fails.get("text"):
            return JSONResponse({"code": 1}, self.fails["text"].pop(0))
        self.texts.append({name: str(value) for name, value in (await request.form()).items()})
        return JSONResponse({"code": 1}, 503) if "text" in self.lost else JSONResponse(
            {"sid": "SM" + secrets.token_hex(16), "status": "queued"}, 201)

    # -- telephones

    async def _live(self, phone: Phone) -> None:
        await self._news(phone, "initiated")
        if phone.does.busy:
            return await self._end(phone, "busy")
        if not phone.is_on:
            return
        phone.status = "ringing"
        await self._note()
        await self._news(phone, "ringing")
        if not phone.does.answers or not phone.is_on:
            return
        phone.status = "in-progress"
        await self._note()
        await self._news(phone, "in-progress")
        if phone.is_on:
            await self._ask(phone, phone.url)
        if not phone.does.stays:
            await self._end(phone, "completed")

    async def _ask(self, phone: Phone, url: str, **more: str) -> None:
        said = await self._hook(phone, url, "in-progress", **more)
        if said is None or said.status_code != 200:
            return await self._end(phone, "completed")
        self._do(phone, said.text)
        await self._note()

    def _do(self, phone: Phone, words: str) -> None:
        """New words take the place of the old at once."""
        phone.told += 1
        phone.room = ""
        self._spawn(self._say(phone, ElementTree.fromstring(words), phone.told))

    async def _say(self, phone: Phone, response: ElementTree.Element, told: int) -> None:
        for verb in response:
            if phone.told != told or not phone.is_on:
                return
            match verb.tag:
                case "Say" | "Play":
                    phone.digits += verb.get("digits", "")
                    phone.played.append(verb.text or "")
                case "Gather":
                    phone.played.append(verb[0].text or "")
                    if phone.does.presses:
                        return await self._ask(phone, verb.attrib["action"], Digits=phone.does.presses)
                case "Pause":
                    await asyncio.sleep(float(verb.attrib["length"]))
                case "Dial":
                    phone.room = verb[0].text or ""
                    inside = [one for one in self.on if one.room == phone.room]
                    if len(inside) > 1:
                        self.heard.append(frozenset(one.to for one in inside))
                    await self._note()
                    return
                case "Hangup":
                    return await self._end(phone, "completed")
        await self._note()

    async def _end(self, phone: Phone, status: str) -> None:
        if not phone.is_on:
            return
        phone.status, phone.room = status, ""
        await self._note()
        await self._news(phone, status)
        if self.disorder:
            await self._news(phone, "ringing")
            await self._hook(phone, phone.url, "in-progress")

    async def _news(self, phone: Phone, status: str) -> None:
        if not self.mute:
            await self._hook(phone, phone.callback, status)

    async def _hook(self, phone: Phone, url: str, status: str, **more: str) -> httpx.Response | None:
        form = {"AccountSid": ACCOUNT, "CallSid": phone.sid, "CallStatus": status, "From": phone.shown, "To": phone.to,
                "Caller": "", **more}
        body, signature, answer = str(httpx.QueryParams(form)).encode(), self.sign(url, form), None
        for _ in range(2 if self.twice else 1):
            try:
                again = await self.say(url, body, signature)
            except httpx.HTTPError:
                return answer
            self.said.append((url, body, signature, again.status_code))
            answer = answer or again
        return answer

    async def _note(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _spawn(self, doing: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(doing)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        for task in [*self._tasks]:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._client.aclose()


@asynccontextmanager
async def listening(app: Any) -> AsyncIterator[str]:
    """Serve an application on loopback; its address."""
    started = asyncio.Event()

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            started.set()

    server = Server(uvicorn.Config(app, port=0, lifespan="off", log_level="warning", timeout_graceful_shutdown=1))
    task = asyncio.create_task(server.serve())
    await started.wait()
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


@asynccontextmanager
async def provider() -> AsyncIterator[Provider]:
    made = Provider()
    base = f"/2010-04-01/Accounts/{ACCOUNT}"
    routes = [Route(f"{base}.json", made.account), Route(f"{base}/Messages.json", made.text, methods=["POST"]),
              Route(f"{base}/Calls.json", made.answer, methods=["GET", "POST"]),
              Route(f"{base}/Calls/{{sid}}.json", made.answer, methods=["GET", "POST"])]
    async with listening(Starlette(routes=routes)) as made.url:
        yield made
        await made.close()
