"""New listings and settled sales as Atom and RSS: public facts that anybody may subscribe to."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response
from django.utils.feedgenerator import Atom1Feed, Rss201rev2Feed, SyndicationFeed
from django.utils.http import quote_etag
from django.utils.translation import get_language, gettext
from django.views.decorators.http import require_safe

from onym.queries import brand, feeds, names
from onym.queries.feeds import Item
from onym.web.templatetags.market import plain_money

SHOWN = 50
FRESH_SECONDS = 300


class Atom(Atom1Feed):
    """An empty feed was last changed when its market began, not whenever it is read."""

    mime_type = "application/atom+xml"

    def latest_post_date(self) -> datetime:
        return _latest(self)


class Rss(Rss201rev2Feed):
    """The same for RSS."""

    mime_type = "application/rss+xml"

    def latest_post_date(self) -> datetime:
        return _latest(self)


def _latest(feed: SyndicationFeed) -> datetime:
    begun: datetime = feed.feed["begun_at"]
    return max([item["pubdate"] for item in feed.items], default=begun)


FORMS: dict[str, type[Atom] | type[Rss]] = {"atom": Atom, "rss": Rss}


@require_safe
def feed(request: HttpRequest, what: str, form: str) -> HttpResponse:
    """`what` is listings or sales, `form` atom or rss; unchanged is answered with 304."""
    if what not in ("listings", "sales") or form not in FORMS:
        raise Http404
    place = settings.NAMESPACE
    found = feeds.listings if what == "listings" else feeds.sales
    text = _written(request, FORMS[form], what, found(place, limit=SHOWN))
    tag = quote_etag(hashlib.sha256(text.encode()).hexdigest()[:32])
    kind = f"{FORMS[form].mime_type}; charset=utf-8"
    fresh = HttpResponse(text, content_type=kind)
    answer = get_conditional_response(request, etag=tag, response=fresh) or fresh
    answer["ETag"] = tag
    answer["Cache-Control"] = f"public, max-age={FRESH_SECONDS}"
    return answer


def _written(
    request: HttpRequest, kind: type[Atom] | type[Rss], what: str, items: Sequence[Item]
) -> str:
    root, language = settings.BASE_URL, get_language() or "en"
    title, said = _words(what)
    whole: Any = kind(
        title=f"{title} · {brand.site_name()}",
        link=f"{root}/{language}/",
        description=title,
        language=language,
        author_name=brand.site_name(),
        feed_url=f"{root}{request.path}",
        feed_guid=f"{root}{request.path}",
        begun_at=names.namespace(settings.NAMESPACE).created_at,
    )
    for item in items:
        whole.add_item(
            title=said(item),
            link=f"{root}/{language}/@{item.handle}",
            description=said(item),
            pubdate=item.at,
            updateddate=item.at,
            unique_id=_tag(item),
            unique_id_is_permalink=False,
        )
    return str(whole.writeString("utf-8"))


def _words(what: str) -> tuple[str, Callable[[Item], str]]:
    if what == "listings":
        title, words = gettext("New listings"), gettext("%(handle)s is on sale for %(price)s")
    else:
        title, words = gettext("Sales"), gettext("%(handle)s was sold for %(price)s")
    return title, lambda item: words % _facts(item)


def _facts(item: Item) -> dict[str, str]:
    """Isolated from the direction of the words around them, as there is no markup."""
    return {
        "handle": f"\u2066@{item.handle}\u2069",
        "price": f"\u2066{plain_money(item.price)}\u2069",
    }


def _tag(item: Item) -> str:
    """A tag URI (RFC 4151), which stays the same when the site moves or its pages do."""
    host = settings.LOG_ORIGIN.split("/")[0] or urlsplit(settings.BASE_URL).hostname
    return f"tag:{host},{item.at:%Y-%m-%d}:{item.id}"
