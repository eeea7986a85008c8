"""Wallets: deposits, holds that end once, payouts and chargebacks without a sale."""

import django.db.models.deletion
from django.db import migrations, models


ONCE = """
create function onym_hold_ends_once() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' or old.state <> 'held' or old.amount_minor <> new.amount_minor
       or old.subject <> new.subject or old.member_id <> new.member_id then
        raise exception 'a hold ends once and is never changed'
            using errcode = 'check_violation', constraint = 'hold_ends_once';
    end if;
    return new;
end $$;

create trigger hold_ends_once before update or delete on store_hold
    for each row execute function onym_hold_ends_once();
"""
NEVER = """
drop trigger hold_ends_once on store_hold;
drop function onym_hold_ends_once();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("store", "0029_offer_by_letter"),
    ]

    operations = [
        migrations.CreateModel(
            name="Deposit",
            fields=[
                ("id", models.CharField(max_length=40, primary_key=True, serialize=False)),
                ("state", models.CharField(default="pending", max_length=10)),
                ("method", models.CharField(max_length=60)),
                ("amount_minor", models.BigIntegerField()),
                ("currency", models.CharField(max_length=3)),
                ("provider_id", models.CharField(max_length=80, null=True)),
                ("reason", models.CharField(default="", max_length=80)),
                ("action_url", models.TextField(default="")),
                ("made_at", models.DateTimeField()),
                ("gives_up_at", models.DateTimeField()),
                ("answered_at", models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name="Hold",
            fields=[
                ("id", models.CharField(max_length=40, primary_key=True, serialize=False)),
                ("kind", models.CharField(max_length=8)),
                ("subject", models.CharField(max_length=40)),
                ("amount_minor", models.BigIntegerField()),
                ("currency", models.CharField(max_length=3)),
                ("state", models.CharField(default="held", max_length=8)),
                ("posted_minor", models.BigIntegerField(default=0)),
                ("made_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name="Wallet",
            fields=[
                (
                    "member",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        serialize=False,
                        to="store.member",
                    ),
                ),
                ("takes_proceeds", models.BooleanField(default=False)),
                ("set_at", models.DateTimeField()),
            ],
        ),
        migrations.RemoveConstraint(
            model_name="chargeback",
            name="chargeback_source",
        ),
        migrations.RemoveConstraint(
            model_name="payout",
            name="payout_state",
        ),
        migrations.AddField(
            model_name="chargeback",
            name="wallet_minor",
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.AlterField(
            model_name="chargeback",
            name="sale",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, to="store.sale"
            ),
        ),
        migrations.AlterField(
            model_name="payout",
            name="sale",
            field=models.OneToOneField(
                null=True, on_delete=django.db.models.deletion.PROTECT, to="store.sale"
            ),
        ),
        migrations.AddConstraint(
            model_name="payout",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("state__in", ["due", "unknown", "done", "refused", "kept", "withheld"])
                ),
                name="payout_state",
            ),
        ),
        migrations.AddField(
            model_name="deposit",
            name="member",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="store.member"),
        ),
        migrations.AddField(
            model_name="deposit",
            name="namespace",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, to="store.namespace"
            ),
        ),
        migrations.AddField(
            model_name="chargeback",
            name="deposit",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, to="store.deposit"
            ),
        ),
        migrations.AddConstraint(
            model_name="chargeback",
            constraint=models.CheckConstraint(
                condition=models.Q(("source__in", ["escrow", "wallet", "receivable"])),
                name="chargeback_source",
            ),
        ),
        migrations.AddConstraint(
            model_name="chargeback",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("deposit", None), ("sale__isnull", False)),
                    models.Q(("deposit__isnull", False), ("sale", None), ("source", "wallet")),
                    _connector="OR",
                ),
                name="chargeback_of_one_payment",
            ),
        ),
        migrations.AddConstraint(
            model_name="chargeback",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("wallet_minor__gte", 0), ("wallet_minor__lte", models.F("amount_minor"))
                ),
                name="chargeback_wallet_within",
            ),
        ),
        migrations.AddField(
            model_name="hold",
            name="member",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="store.member"),
        ),
        migrations.AddField(
            model_name="hold",
            name="namespace",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, to="store.namespace"
            ),
        ),
        migrations.AddIndex(
            model_name="deposit",
            index=models.Index(fields=["member", "-id"], name="deposit_of_member"),
        ),
        migrations.AddConstraint(
            model_name="deposit",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("state__in", ("pending", "unknown", "action", "paid", "declined", "cancelled"))
                ),
                name="deposit_state",
            ),
        ),
        migrations.AddConstraint(
            model_name="deposit",
            constraint=models.CheckConstraint(
                condition=models.Q(("amount_minor__gt", 0)), name="deposit_positive"
            ),
        ),
        migrations.AddConstraint(
            model_name="deposit",
            constraint=models.UniqueConstraint(
                condition=models.Q(("provider_id__isnull", False)),
                fields=("provider_id",),
                name="deposit_once_per_payment",
            ),
        ),
        migrations.AddConstraint(
            model_name="hold",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ("sale", "payout", "lot"))), name="hold_kind"
            ),
        ),
        migrations.AddConstraint(
            model_name="hold",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["held", "posted", "voided"])), name="hold_state"
            ),
        ),
        migrations.AddConstraint(
            model_name="hold",
            constraint=models.CheckConstraint(
                condition=models.Q(("amount_minor__gt", 0)), name="hold_positive"
            ),
        ),
        migrations.AddConstraint(
            model_name="hold",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("posted_minor__gt", 0),
                        ("posted_minor__lte", models.F("amount_minor")),
                        ("state", "posted"),
                    ),
                    models.Q(models.Q(("state", "posted"), _negated=True), ("posted_minor", 0)),
                    _connector="OR",
                ),
                name="hold_posted_within",
            ),
        ),
        migrations.AddConstraint(
            model_name="hold",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("ended_at", None), ("state", "held")),
                    models.Q(
                        models.Q(("state", "held"), _negated=True), ("ended_at__isnull", False)
                    ),
                    _connector="OR",
                ),
                name="hold_ended_has_instant",
            ),
        ),
        migrations.AddConstraint(
            model_name="hold",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state", "held")),
                fields=("member", "subject"),
                name="one_live_hold_per_subject",
            ),
        ),
        migrations.RunSQL(ONCE, NEVER),
    ]
