"""Pages under /{language}/; the bare address leads to the visitor's language."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, re_path, register_converter

from onym.web import (
    accounts,
    address,
    appeals,
    bank,
    brand,
    crawlers,
    demo,
    design,
    documents,
    feeds,
    invitation,
    invoice,
    language,
    log,
    mine,
    names,
    notices,
    offer,
    page,
    payout,
    privacy,
    problems,
    reclaim,
    sale,
    security,
    sell,
    share,
    sign_in,
    tokens,
    wallet,
    watch,
    webhooks,
)
from onym.web.page import Language

register_converter(Language, "lang")


def preferred(request: HttpRequest) -> HttpResponse:
    """By the visitor's own preference."""
    return page.led_to(request, "/")


def whole(request: HttpRequest) -> HttpResponse:
    """A language's home by its whole address, with what was asked."""
    query = request.META.get("QUERY_STRING", "")
    return HttpResponseRedirect(f"{request.path}/" + (f"?{query}" if query else ""))


urlpatterns = [
    path("", preferred, name="preferred"),
    re_path("^(?:en|fr|ar)$", whole, name="home-without-slash"),
    path("<lang:lang>/", names.home, name="home"),
    path("<lang:lang>/search", names.search, name="search"),
    path("<lang:lang>/@<str:handle>", names.handle, name="handle"),
    path("<lang:lang>/policies", documents.policies, name="policies"),
    path("<lang:lang>/fees", documents.fees, name="fees"),
    path("<lang:lang>/guidelines", documents.guidelines, name="guidelines"),
    *(
        path(
            f"<lang:lang>/{kind}/<str:id>/<int:version>",
            documents.version,
            {"kind": kind},
            name=f"{kind}-version",
        )
        for kind in documents.KINDS
    ),
    path("<lang:lang>/sales/<str:id>", sale.sale, name="sale"),
    path("<lang:lang>/invoices/<str:id>.pdf", invoice.pdf, name="invoice-pdf"),
    path("<lang:lang>/invoices/<str:id>", invoice.invoice, name="invoice"),
    path("<lang:lang>/sales/<str:id>/returned", sale.returned, name="sale-returned"),
    path("sales/<str:id>/returned", sale.back, name="sale-back"),
    path("<lang:lang>/sales/<str:id>/onward", sale.onward, name="sale-onward"),
    path("sales/<str:id>/left", sale.left, name="sale-left"),
    path("<lang:lang>/offers", offer.offers, name="offers"),
    path("<lang:lang>/offers/<str:token>", offer.offer, name="offer"),
    path("<lang:lang>/invitations/<str:token>", invitation.invitation, name="invitation"),
    path("<lang:lang>/unsubscribe/<str:token>", invitation.unsubscribe, name="unsubscribe"),
    path("<lang:lang>/keep/<str:token>", reclaim.keep, name="keep"),
    path("<lang:lang>/design", design.design, name="design"),
    path("<lang:lang>/theme", page.theme, name="theme"),
    path("<lang:lang>/watches", watch.watches, name="watches"),
    path("<lang:lang>/alerts/<str:token>", watch.silence, name="alerts"),
    path("<lang:lang>/sign-in", sign_in.sign_in, name="sign-in"),
    path("<lang:lang>/sign-in/code", sign_in.code, name="sign-in-code"),
    path("<lang:lang>/sign-in/factor", sign_in.factor, name="sign-in-factor"),
    path("<lang:lang>/sign-in/platform", sign_in.platform, name="sign-in-platform"),
    path("<lang:lang>/sign-in/platform/back", sign_in.platform_back, name="sign-in-platform-back"),
    path("sign-in/platform/back", sign_in.platform_led, name="sign-in-platform-led"),
    path("<lang:lang>/sign-in/passkey", sign_in.passkey, name="sign-in-passkey"),
    path("<lang:lang>/sign-in/options", sign_in.options, name="sign-in-options"),
    path("<lang:lang>/sign-in/demo", sign_in.as_demo, name="sign-in-demo"),
    path("<lang:lang>/join", sign_in.join, name="join"),
    path("<lang:lang>/confirm", sign_in.confirm, name="confirm"),
    path("<lang:lang>/sign-out", sign_in.sign_out, name="sign-out"),
    path("<lang:lang>/security", security.security, name="security"),
    path("<lang:lang>/security/totp", security.totp, name="totp"),
    path("<lang:lang>/security/totp.svg", security.picture, name="totp-picture"),
    path("<lang:lang>/security/options", security.options, name="passkey-options"),
    path("<lang:lang>/security/mail", address.address, name="address"),
    path("<lang:lang>/security/tokens", tokens.tokens, name="tokens"),
    path("<lang:lang>/sessions", security.sessions, name="sessions"),
    path("problems/<slug:code>", problems.preferred, name="problem"),
    path("<lang:lang>/problems/<slug:code>", problems.problem, name="problem-page"),
    path("<lang:lang>/legal/<slug:page>", brand.legal, name="legal"),
    path("<lang:lang>/demo/clock", demo.clock, name="demo-clock-page"),
    path("<lang:lang>/language", language.choose, name="language"),
    path("brand.css", brand.sheet, name="brand-sheet"),
    path("brand/logo", brand.logo, name="brand-logo"),
    path("<lang:lang>/feeds/<slug:what>.<slug:form>", feeds.feed, name="feed"),
    path("<lang:lang>/log", log.log, name="log"),
    path("<lang:lang>/log/<int:leaf>", log.leaf, name="leaf"),
    path("og/site.png", share.site, name="site-picture"),
    path("og/<str:handle>.png", share.handle, name="handle-picture"),
    path("robots.txt", crawlers.robots, name="robots"),
    path("sitemap.xml", crawlers.sitemap, name="sitemap"),
    path("site.webmanifest", crawlers.manifest, name="manifest"),
    path("favicon.ico", crawlers.icon, {"name": "favicon.ico"}, name="favicon"),
    path("apple-touch-icon.png", crawlers.icon, {"name": "apple-touch-icon.png"}, name="touch"),
    path("oauth/client-metadata.json", crawlers.client, name="client"),
    path(".well-known/security.txt", crawlers.security, name="security"),
    path(".well-known/change-password", crawlers.change_password, name="change-password"),
    path("<lang:lang>/sell", sell.choose, name="sell"),
    path("<lang:lang>/sell/<str:handle>", sell.handle, name="sell-handle"),
    path("<lang:lang>/sell/<str:handle>/listed", sell.listed, name="sell-listed"),
    path("<lang:lang>/me", mine.overview, name="me"),
    path("<lang:lang>/me/holding", mine.held, name="my-holding"),
    path("<lang:lang>/me/buying", mine.buying, name="my-buying"),
    path("<lang:lang>/me/selling", mine.selling, name="my-selling"),
    path("<lang:lang>/me/offers", offer.offers, name="my-offers"),
    path("<lang:lang>/me/alerts", mine.alerts, name="my-alerts"),
    path("<lang:lang>/me/statement", mine.statement, name="my-statement"),
    path("<lang:lang>/me/payout", payout.account, name="my-payout"),
    path("<lang:lang>/me/payout/onward", payout.onward, name="my-payout-onward"),
    path("<lang:lang>/me/payout/returned", payout.returned, name="my-payout-returned"),
    path("<lang:lang>/me/notices", notices.notices, name="my-notices"),
    path("<lang:lang>/me/notices/<str:id>", notices.notice, name="my-notice"),
    path("<lang:lang>/me/appeals", appeals.appeals, name="my-appeals"),
    path("<lang:lang>/me/shares/<str:sale>", mine.claim, name="my-share"),
    path("<lang:lang>/me/bank", bank.account, name="my-bank"),
    path("<lang:lang>/me/accounts", accounts.accounts, name="my-accounts"),
    path("<lang:lang>/me/accounts/platform", accounts.by_platform, name="my-accounts-platform"),
    path("<lang:lang>/me/webhooks", webhooks.webhooks, name="my-webhooks"),
    path("<lang:lang>/wallet", wallet.wallet, name="wallet"),
    path("<lang:lang>/wallet/returned", wallet.returned, name="wallet-returned"),
    path("wallet/returned", wallet.back, name="wallet-back"),
    path("<lang:lang>/me/settings", mine.settings_, name="my-settings"),
    path("<lang:lang>/me/data.json", privacy.data, name="my-data"),
    path("<lang:lang>/me/leave", privacy.leave, name="leave"),
]
