"""What the page for cards says, in the market's three languages."""

from __future__ import annotations

WORDS = {
    "en": {
        "pay_for": "You pay for",
        "card": "Card number",
        "expiry": "Expires (MM/YY)",
        "cvc": "Security code",
        "pay": "Pay",
        "back": "Back to the market",
        "hint": "A demo: only test numbers work here, such as 4242 4242 4242 4242.",
        "held": "Your bank sets the amount aside; the market takes it or lets it go.",
        "over": "This page has expired. Nothing was taken.",
        "mail": "For",
        "wrong": {
            "number": "This is not a whole card number.",
            "expiry": "Look at the date again: the card must still be valid.",
            "cvc": "The security code has three or four digits.",
            "unknown": "This is not a test card. Real cards are not taken here.",
            "declined": "The card was declined. You may try another one.",
        },
    },
    "fr": {
        "pay_for": "Vous payez",
        "card": "Numéro de carte",
        "expiry": "Expire fin (MM/AA)",
        "cvc": "Code de sécurité",
        "pay": "Payer",
        "back": "Retour au marché",
        "hint": "Démonstration : seuls les numéros d’essai marchent, par exemple"
        " 4242 4242 4242 4242.",
        "held": "Votre banque réserve le montant ; le marché le prend ou le libère.",
        "over": "Cette page a expiré. Rien n’a été débité.",
        "mail": "Pour",
        "wrong": {
            "number": "Ce numéro de carte n’est pas complet.",
            "expiry": "Vérifiez la date : la carte doit encore être valable.",
            "cvc": "Le code de sécurité a trois ou quatre chiffres.",
            "unknown": "Ce n’est pas une carte d’essai. Aucune vraie carte n’est acceptée ici.",
            "declined": "La carte a été refusée. Vous pouvez en essayer une autre.",
        },
    },
    "ar": {
        "pay_for": "تدفع مقابل",
        "card": "رقم البطاقة",
        "expiry": "تاريخ الانتهاء (شهر/سنة)",
        "cvc": "رمز الأمان",
        "pay": "ادفع",
        "back": "العودة إلى السوق",
        "hint": "عرض تجريبي: لا تُقبل هنا إلا أرقام الاختبار، مثل 4242 4242 4242 4242.",
        "held": "يحجز مصرفك المبلغ، ثم يأخذه السوق أو يتركه.",
        "over": "انتهت صلاحية هذه الصفحة ولم يُؤخذ شيء.",
        "mail": "لأجل",
        "wrong": {
            "number": "رقم البطاقة غير مكتمل.",
            "expiry": "راجع التاريخ: يجب أن تكون البطاقة سارية.",
            "cvc": "رمز الأمان من ثلاثة أرقام أو أربعة.",
            "unknown": "هذه ليست بطاقة اختبار، ولا تُقبل هنا بطاقات حقيقية.",
            "declined": "رُفضت البطاقة، ويمكنك تجربة بطاقة أخرى.",
        },
    },
}
