"""Where notices may be sent: to the push services on the school's list, and nowhere else."""

import pytest

from service.foundation.settings import Settings
from service.people.push import rules
from tests.push import Receiver

LISTED = rules.hosts(Settings.model_fields["push_hosts"].default)


@pytest.mark.parametrize("endpoint", [
    "https://fcm.googleapis.com/fcm/send/abc", "https://web.push.apple.com/QK", "https://wns2-db5p.notify.windows.com/w/?token=x",
    "https://updates.push.services.mozilla.com/wpush/v2/g", "https://fcm.googleapis.com:443/x",
])
def test_the_push_services_of_browsers_may_be_sent_to(endpoint: str) -> None:
    assert rules.is_allowed(endpoint, LISTED)


@pytest.mark.parametrize("endpoint", [
    "http://fcm.googleapis.com/x", "https://127.0.0.1/x", "https://169.254.169.254/latest", "https://localhost/x",
    "https://fcm.googleapis.com.evil.example/x", "https://evilfcm.googleapis.com/x", "https://fcm.googleapis.com:8443/x",
    "https://fcm.googleapis.com@127.0.0.1/x", "https://user@fcm.googleapis.com/x", "https://push.apple.com.evil.example/",
    "https://notpush.apple.com", "file:///etc/passwd", "https://[::1]/x", "https://fcm.googleapis.com:x/", "", "https://",
    "https://push.apple.com/x",
])
def test_nowhere_else_may_be_sent_to(endpoint: str) -> None:
    assert not rules.is_allowed(endpoint, LISTED)


def test_a_subscription_needs_a_point_and_a_secret() -> None:
    given = Receiver("https://fcm.googleapis.com/x").subscription
    rules.check(**given, allowed=LISTED)
    wrong = {"p256dh": ("", "AAAA", given["p256dh"][:-2], "é" * 87), "auth": ("", given["auth"][:-2], given["p256dh"])}
    for name, values in wrong.items():
        for value in values:
            with pytest.raises(rules.BadSubscription):
                rules.check(**{**given, name: value}, allowed=LISTED)
    with pytest.raises(rules.UnknownPushService):
        rules.check(**{**given, "endpoint": "https://fcm.googleapis.com/" + "x" * 1_000}, allowed=LISTED)
