"""Telling holders, in waves or one by one, and the last look at the platform before a release."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from onym import ports
from onym.core.errors import PlatformUnavailable
from onym.flows import notices, reclaim
from onym.jobs import notice
from onym.jobs.queue import again, task
from onym.ports.platform import Notice, Outcome
from onym.queries import notice as letters

AT_ONCE = 500
ASK_AGAIN = 3
HANDLE, LINK, SEEN = "\ue000", "\ue001", "\ue002"
"""Private-use characters that stand for what differs from one holder to the next."""


@task("reclaim.tell")
def tell(*, part_id: int, number: int, attempt: int = 0) -> None:
    """Send one notice to a whole part: mails first, then the platform; then record the wave.

    A platform that answers nobody is asked again later: the notice counts from when it was sent.
    """
    wave = notices.open_wave(part_id=part_id, number=number)
    if wave is None:
        return
    try:
        _mail(wave)
        platform = _platform(wave)
    except PlatformUnavailable:
        again("reclaim.tell", lock=f"part-{part_id}", attempt=attempt, part_id=part_id,
              number=number)  # fmt: skip
        return
    notices.record_wave(part_id=part_id, number=number, wave=wave, platform=platform)


def _mail(wave: notices.Wave) -> None:
    for addressee in wave.addressees:
        if addressee.letter is not None:
            notice.send(notice_id=addressee.letter)


def _platform(wave: notices.Wave) -> dict[str, str]:
    """account id → sent, refused, unknown, or none where the platform cannot tell anybody."""
    platform = ports.platform(wave.namespace)
    if not platform.capabilities().notices:
        return {addressee.account_id: notices.NONE for addressee in wave.addressees}
    fates: dict[str, str] = {}
    written = list(_written(wave))
    for start in range(0, len(written), AT_ONCE):
        fates |= _tell(platform, written[start : start + AT_ONCE])
    if fates and set(fates.values()) == {"unknown"}:
        raise PlatformUnavailable("the platform tells nobody")
    return fates


def _tell(platform: Any, some: Iterable[Notice]) -> dict[str, str]:
    """Ask, and ask again about what got no answer: the key makes it one notice."""
    waiting, fates = list(some), {}
    for turn in range(ASK_AGAIN):
        time.sleep(0.2 * turn)
        said = platform.notify_all(notices=waiting)
        for told, answer in zip(waiting, said, strict=True):
            fates[told.account_id] = _fate(answer)
        waiting = [told for told in waiting if fates[told.account_id] == "unknown"]
        if not waiting:
            break
    return fates


def _fate(answer: Outcome) -> str:
    return notices.SENT if answer.done else "refused" if answer.refused else "unknown"


def _written(wave: notices.Wave) -> Iterator[Notice]:
    """The texts: rendered once for all who read the same language and have the same reasons."""
    rendered: dict[str, str] = {}
    for addressee in wave.addressees:
        facts = letters.complete(
            addressee.facts, language=addressee.language, namespace=wave.namespace
        )
        seen = facts["last_seen_at"]
        own = {
            HANDLE: facts["handle"],
            LINK: facts["href"],
            SEEN: notice.day(seen, language=addressee.language) if seen else "",
        }
        common = {**facts, "handle": HANDLE, "href": LINK, "last_seen": SEEN if seen else ""}
        del common["keep"], common["last_seen_at"]
        key = f"{addressee.language} {sorted(common.items())!r}"
        if key not in rendered:
            rendered[key] = _text(common, language=addressee.language)
        text = rendered[key]
        for mark, value in own.items():
            text = text.replace(mark, value)
        yield Notice(
            account_id=addressee.account_id,
            kind=notices.KIND,
            text=text,
            href=facts["href"],
            key=addressee.key,
        )


def _text(facts: Mapping[str, Any], *, language: str) -> str:
    subject, text, _ = notice.render(notices.KIND, language=language, facts=facts)
    return f"{subject}\n\n{text}"


@task("reclaim.tell_one")
def tell_one(*, process_id: int, attempt: int = 0) -> None:
    """Tell one account that no wave reached."""
    found = notices.open_one(process_id=process_id)
    if found is None:
        return
    number, wave = found
    try:
        _mail(wave)
        platform = next(iter(_platform(wave).values()))
    except PlatformUnavailable:
        platform = "unknown"
    known = notices.record_one(process_id=process_id, number=number, wave=wave, platform=platform)
    if not known:
        again("reclaim.tell_one", lock=f"process-{process_id}", attempt=attempt,
              process_id=process_id)  # fmt: skip


@task("reclaim.look")
def look(*, process_id: int, attempt: int = 0) -> None:
    """The last look before a release; no fresh answer, no release: it is asked again later."""
    try:
        reclaim.look(process_id=process_id)
    except PlatformUnavailable:
        again("reclaim.look", lock=f"process-{process_id}", attempt=attempt, process_id=process_id)
