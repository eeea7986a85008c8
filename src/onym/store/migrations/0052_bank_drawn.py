"""What sales drew of arrivals before it was written down, where the arrivals tell it exactly.

A sale that the release before funds after this has no draws: a refund of it asks a person.
"""

from django.db import migrations

FILL = """
with left_of as (
    select l.id, l.sale_id, l.minor - l.rest_minor
           - (select coalesce(sum(o.minor), 0) from store_bankorder o
              where o.line_id = l.id and o.kind = 'return')
           - (select coalesce(sum(d.amount_minor), 0) from store_deposit d
              where d.id = l.deposit_id) as minor
    from store_bankline l where l.sale_id is not null and l.minor > 0
), whole as (
    select l.sale_id from left_of l join store_sale s on s.id = l.sale_id
    join store_payment p on p.sale_id = s.id and p.kind = 'charge' and p.state = 'paid'
     and p.method = 'bank_transfer'
    group by l.sale_id, s.gross_minor having sum(l.minor) = s.gross_minor and min(l.minor) >= 0
)
insert into store_bankdraw (line_id, sale_id, minor)
select l.id, l.sale_id, l.minor from left_of l join whole using (sale_id)
where l.minor > 0 order by l.id
on conflict do nothing
"""


class Migration(migrations.Migration):
    dependencies = [
        ("store", "0051_bank_draws"),
    ]

    operations = [migrations.RunSQL(FILL, migrations.RunSQL.noop)]
