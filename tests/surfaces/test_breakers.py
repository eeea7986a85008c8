"""A platform that fails is left alone: what needs it answers 503 at once, and health shows it."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import IntegrityError
from django.test import Client
from tests import make
from tests.ports.canned import Canned
from tests.surfaces.test_refusals import CHEAP, Scene, scene

from onym import ports
from onym.core.breaker import FAULTS, State
from onym.ports.signed_http import SignedHttp
from onym.site import breakers
from onym.store import breaker, clock
from onym.store.models import BreakerState

__all__ = ["scene"]
SLOW = 0.5


class Mute(Canned):
    """A platform that takes the request and never answers."""

    def _serve(self) -> None:
        self.lines: list[Any] = []
        while True:
            try:
                self.lines.append(self._listener.accept())
            except OSError:
                return

    def close(self) -> None:
        super().close()
        for line, _ in self.lines:
            line.close()


@pytest.fixture
def mute(scene: Scene) -> Any:
    """The namespace's platform, which is mute, behind a breaker as site installs it."""
    server = Mute()
    key = Ed25519PrivateKey.generate()
    platform = SignedHttp(base=server.base, key_id="onym", private_key=key, timeout=SLOW)
    ports.install(platforms={"demo": breakers.guard("platform", platform)})
    yield server
    server.close()
    breakers.gates.pop("platform")


def lists_a_resting_handle(scene: Scene, number: int) -> tuple[float, Any]:
    """The desk lists a handle whose last look needs the platform: (seconds, answer)."""
    make.reclaimed(scene.place, f"sunset{number}", state="resting")
    began = time.perf_counter()
    said = scene.one.send("POST", "/listings", {"handle": f"sunset{number}", "price": CHEAP})
    return time.perf_counter() - began, said


def test_once_it_has_failed_five_times_503_is_answered_at_once(scene: Scene, mute: Mute) -> None:
    waited = [lists_a_resting_handle(scene, number) for number in range(FAULTS)]
    assert all(seconds > SLOW for seconds, _ in waited)
    asked = len(mute.lines)
    seconds, said = lists_a_resting_handle(scene, FAULTS)
    assert (said.status_code, said.json()["code"]) == (503, "platform_unavailable")
    assert seconds < SLOW
    assert len(mute.lines) == asked


def test_health_shows_it_in_this_process_and_ready_for_all_processes(
    scene: Scene, mute: Mute, settings: Any
) -> None:
    settings.DEMO = False
    assert Client().get("/ready").json()["failing"] == []
    for number in range(FAULTS):
        lists_a_resting_handle(scene, number)
    assert Client().get("/health").json()["outside"]["platform"] == "open"
    answer = Client().get("/ready").json()
    assert (answer["failing"], answer["missing"]) == (["platform"], ["jobs"])  # no worker runs here


def test_a_note_of_a_process_that_is_gone_is_forgotten(database: str) -> None:
    now = clock.machine()
    note = {"outside": "mail", "state": State.OPEN, "seconds": 60.0}
    breaker.write(process="gone", at=now - timedelta(hours=1), **note)
    assert breaker.shut(at=now) == []
    breaker.write(process="here", at=now, **note)
    assert breaker.shut(at=now) == ["mail"]
    breaker.write(process="here", at=now, outside="mail", state=State.CLOSED, seconds=0.0)
    assert (breaker.shut(at=now), BreakerState.objects.count()) == ([], 2)
    with pytest.raises(IntegrityError, match="breaker_state"):
        make.copy(BreakerState.objects.get(process="here"), id=None)
