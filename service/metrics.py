"""What an operator's Prometheus collects: counts, durations and states, by route template. No name, id or address of anybody.

Not public: the numbers say when a school teaches. From the machine itself, or with the token of the settings.
"""

import hmac
import time
from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from sqlmodel import col, func, select
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lessons.live.monitor import Watched
from service.foundation.bus import Outbox
from service.foundation.db import WRITE_SECONDS
from service.foundation.errors import NotFound
from service.foundation.events import Role
from service.foundation.mail import Health, health
from service.foundation.web import Public
from service.safeguarding.rules import QUIET
from service.safeguarding.tables import Alert

router = APIRouter(dependencies=[Public])
LOOPBACK = frozenset({"127.0.0.1", "::1"})
FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")
SECONDS = (0.005, 0.02, 0.1, 0.5, 2, 10)
PHASES = ("lobby", "open", "held", "ended")


class Metrics:
    """The counters of one application."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(WRITE_SECONDS)
        self.requests = Counter("chaperone_requests", "Requests answered.", ("route", "status"), registry=self.registry)
        self.seconds = Histogram("chaperone_request_seconds", "How long an answer took.", ("route",), buckets=SECONDS,
                                 registry=self.registry)

    def answered(self, scope: Scope, status: int, seconds: float) -> None:
        """The route's template, never the path: paths carry ids."""
        route = getattr(scope.get("route"), "path", "other")
        self.requests.labels(route, f"{status // 100}xx").inc()
        if not scope.get("state", {}).get("waits"):  # a page that waits for news says nothing about how fast we are
            self.seconds.labels(route).observe(seconds)


class Measured:
    """Counts and times every HTTP request."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics):
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        began, status = time.perf_counter(), 500

        async def send_noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, send_noting)
        finally:
            self.metrics.answered(scope, status, time.perf_counter() - began)


class _Gauges:
    """States at the moment of asking, as a Prometheus collector."""

    def __init__(self, phases: dict[str, int], connections: int, waiting: int, alerts: int, watched: Watched,
                 mail: Health):
        self.phases, self.connections, self.waiting, self.alerts = phases, connections, waiting, alerts
        self.watched, self.mail = watched, mail

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        rooms = GaugeMetricFamily("chaperone_rooms", "Live rooms by state.", labels=("state",))
        for phase, number in self.phases.items():
            rooms.add_metric((phase,), number)
        yield rooms
        yield GaugeMetricFamily("chaperone_connections", "People connected to rooms.", self.connections)
        yield GaugeMetricFamily("chaperone_outbox_waiting", "Events not yet delivered.", self.waiting)
        yield GaugeMetricFamily("chaperone_alerts_untaken", "Alerts of the safeguarding team that nobody has taken.", self.alerts)
        yield GaugeMetricFamily("chaperone_mail_waiting", "Mails not yet sent.", self.mail.waiting)
        yield GaugeMetricFamily("chaperone_mail_failing", "Mails not yet sent whose last try failed.", self.mail.failing)
        yield GaugeMetricFamily("chaperone_mail_given_up", "Mails given up in the last seven days.", self.mail.given_up)
        yield CounterMetricFamily("chaperone_deliveries", "Deliveries that the wire monitor saw.", self.watched.deliveries)
        yield CounterMetricFamily("chaperone_forbidden_deliveries", "Deliveries that should not have been; always 0.",
                                  self.watched.forbidden)


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    state = request.app.state
    if not may_scrape(request, state.settings.metrics_token):
        raise NotFound()
    moment = CollectorRegistry()
    moment.register(await _now(state))
    body = generate_latest(state.metrics.registry) + generate_latest(moment)
    return Response(body, headers={"content-type": CONTENT_TYPE_PLAIN_0_0_4})


def may_scrape(request: Request, token: str) -> bool:
    """With a token in the settings, only whoever shows it; else only the machine itself, and never through a proxy."""
    if token:
        return hmac.compare_digest(request.headers.get("authorization", "").encode(), f"Bearer {token}".encode())
    proxied = any(name in request.headers for name in FORWARDED)
    return not proxied and request.client is not None and request.client.host in LOOPBACK


async def _now(state: Any) -> _Gauges:
    hosts = state.rooms.hosts()
    phases = {phase: sum(str(host.room.phase) == phase for host in hosts) for phase in PHASES}
    async with state.database.glance() as session:
        waiting = (await session.exec(select(func.count()).select_from(Outbox).where(col(Outbox.done_at).is_(None)))).one()
        # What concerns an adult is not counted: the operator may be that adult (policy: IN4).
        alerts = (await session.exec(select(func.count()).select_from(Alert).where(
            Alert.taken_by == "", Alert.routed_to == Role.DSL, col(Alert.kind).not_in([str(kind) for kind in QUIET])))).one()
        post = await health(session, state.post, state.clock.now())
    return _Gauges(phases, sum(len(host.connections) for host in hosts), waiting, alerts, state.rooms.watched, post)
