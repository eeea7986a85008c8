"""What pages say of the areas of the market and of their stops."""

from __future__ import annotations

from django.utils.translation import gettext_noop as said

NAMES = {
    "sales": said("Sales"),
    "payouts": said("Payouts"),
    "reclaim": said("Reclaim"),
    "outreach": said("Private offers"),
}
EFFECTS = {
    "sales": said(
        "Nothing is listed, offered, agreed or charged; what is paid goes on to its end."
    ),
    "payouts": said("No money leaves to sellers; refunds to buyers go on."),
    "reclaim": said("Nobody is warned, nothing is released; keeping a handle and appeals go on."),
    "outreach": said("No private offer is sent; those that were sent stand."),
}
NOTICES = {
    "sales": said("Selling and paying are stopped for now; every deadline moves by as long."),
    "payouts": said("Payouts to sellers wait for now; nothing is lost."),
    "reclaim": said("No account is warned for now."),
    "outreach": said("No private offers are sent for now."),
}
