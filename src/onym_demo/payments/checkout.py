"""The page on which a buyer enters a card, on this server's own origin, in three languages."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from onym_demo.payments import cards, intents, page, sessions, wire
from onym_demo.payments.checkout_words import WORDS
from onym_demo.payments.provider import Call, Provider
from onym_demo.payments.wire import JSON, Answer, WireError


async def serve(provider: Provider, request: Request) -> Response:
    """GET shows the form, or leads back once it is over; POST tries the card."""
    sessions.run_out(provider)
    session = provider.state.find("checkout.session", request.path_params["id"])
    if session is None:
        return page.show("nothing.html", 404)
    if request.method == "POST" and session["status"] == "open":
        return await _pay(provider, request, session)
    return _shown(provider, request, session)


def _shown(
    provider: Provider, request: Request, session: JSON, *, wrong: str = "", status: int = 200
) -> Response:
    if session["status"] == "complete":
        return RedirectResponse(session["success_url"], 303)
    language = _language(request, session)
    answer = page.show(
        "checkout.html",
        410 if session["status"] == "expired" else status,
        session=session,
        title=sessions.data(provider, session)["title"],
        words=WORDS[language],
        wrong=wrong,
        language=language,
    )
    answer.headers["Content-Security-Policy"] = _policy(session)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _policy(session: JSON) -> str:
    """A form of this page ends at the shop, so it may lead there too."""
    shop = urlsplit(session["success_url"])
    own = page.HEADERS["Content-Security-Policy"]
    return own.replace("form-action 'self'", f"form-action 'self' {shop.scheme}://{shop.netloc}")


def _language(request: Request, session: JSON) -> str:
    """As the session says, else as the browser wants, else English."""
    if session["locale"] in WORDS:
        return str(session["locale"])
    wanted = request.headers.get("accept-language", "")
    known = (part.strip()[:2].lower() for part in wanted.split(","))
    return next((code for code in known if code in WORDS), "en")


async def _pay(provider: Provider, request: Request, session: JSON) -> Response:
    if page.foreign(request):
        return page.show("nothing.html", 403)
    form = wire.read_form((await request.body()).decode(errors="replace"))
    typed = {name: str(form.get(name, "")) for name in ("number", "expiry", "cvc")}
    card = cards.read(**typed, now=provider.clock.market())
    if card.wrong:
        return _shown(provider, request, session, wrong=card.wrong, status=400)
    said: JSON = {}
    with provider.state.transaction():
        session = provider.state.find("checkout.session", session["id"]) or session
        if session["status"] == "open":
            said = _try(provider, session, card.method)
    return _went(provider, request, sessions.retrieve(provider, Call(id=session["id"])), said)


def _try(provider: Provider, session: JSON, method: str) -> JSON:
    """The payment after this card was tried."""
    intent = sessions.begun(provider, session, intents.create)
    here = f"{provider.options.base}/c/pay/{session['id']}"
    try:
        said = intents.confirm(
            provider, Call({"payment_method": method, "return_url": here}, intent["id"])
        )
    except WireError as error:
        return error.answer.body
    return said.body["error"]["payment_intent"] if isinstance(said, Answer) else said


def _went(provider: Provider, request: Request, session: JSON, intent: JSON) -> Response:
    action = intent.get("next_action") or {}
    if bank := (action.get("redirect_to_url") or {}).get("url"):
        return RedirectResponse(bank, 303)
    failed = intent.get("last_payment_error") or {}
    wrong = "declined" if failed else ""
    return _shown(provider, request, session, wrong=wrong, status=402 if wrong else 200)
