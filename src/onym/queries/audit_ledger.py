"""What must be true of the books, the sales' money and answered requests: one query a promise.

Each query gives one text per broken row; none is the good answer. docs/concepts/audit.md.
"""

from __future__ import annotations

WALLETS = "nothing was ever held in a wallet"
HELD = "exists (select from store_hold)"
HOLDS = (
    "L5",
    "a hold ends exactly once, and what is held is what lies in the books as held",
    """
    select 'hold_ends_once is missing or off' from (values (1)) as one
    where not exists (
        select from pg_trigger t where t.tgname = 'hold_ends_once'
        and t.tgrelid = 'store_hold'::regclass and t.tgenabled in ('O', 'A'))
    union all
    select coalesce(h.id, e.ref) || ': held ' || coalesce(h.amount_minor, 0) || ', booked '
           || coalesce(e.minor, 0)
    from store_hold h
    full join (select e.ref, sum(p.minor) as minor from store_entry e
               join store_posting p on p.entry_id = e.id
               join store_bookaccount a on a.id = p.account_id and a.code like '%%:held'
               where e.kind = 'set_aside' group by e.ref) e on e.ref = h.id
    where h.amount_minor is distinct from e.minor
    union all
    select coalesce(h.id, e.ref) || ' (' || coalesce(h.state, '-') || '): voided '
           || coalesce(e.minor, 0)
    from (select id, state, amount_minor from store_hold where state = 'voided') h
    full join (select e.ref, -sum(p.minor) as minor from store_entry e
               join store_posting p on p.entry_id = e.id
               join store_bookaccount a on a.id = p.account_id and a.code like '%%:held'
               where e.kind = 'voided' group by e.ref) e on e.ref = h.id
    where h.amount_minor is distinct from e.minor
    union all
    select id || ' (' || state || '): posted ' || posted_minor || ' of ' || amount_minor
    from store_hold
    where posted_minor > amount_minor or (state = 'posted') <> (posted_minor > 0)
       or (state = 'held') <> (ended_at is null)
    union all
    select h.id || ' (posted): nothing was booked for ' || h.subject
    from store_hold h where h.state = 'posted' and not exists (
        select from store_entry e join store_posting p on p.entry_id = e.id
        join store_bookaccount a on a.id = p.account_id
        where a.code = 'member:' || h.member_id || ':held' and p.minor = -h.posted_minor
          and e.ref = h.subject and e.kind in ('funded', 'paid_out'))
    union all
    select coalesce(a.member_id, h.member_id) || ': ' || coalesce(a.minor, 0) || ' lies as held, '
           || coalesce(h.minor, 0) || ' is'
    from (select a.member_id, a.currency, sum(p.minor) as minor from store_bookaccount a
          join store_posting p on p.account_id = a.id where a.code like '%%:held'
          group by a.member_id, a.currency) a
    full join (select member_id, currency, sum(amount_minor) as minor from store_hold
               where state = 'held' group by member_id, currency) h
      on h.member_id = a.member_id and h.currency = a.currency
    where coalesce(a.minor, 0) <> coalesce(h.minor, 0)
    """,
)
"""Asked once there is a hold; posted is at most held by the row, and all of it by the entries."""

CHECKS: tuple[tuple[str, str, str], ...] = (
    (
        "L1",
        "the postings of an entry sum to zero in its currency",
        """
        select 'entry ' || p.entry_id || ': ' || sum(p.minor) || ' ' || p.currency
        from store_posting p group by p.entry_id, p.currency having sum(p.minor) <> 0
        union all
        select 'posting ' || p.id || ': ' || p.currency || ' on an account in ' || a.currency
        from store_posting p join store_bookaccount a on a.id = p.account_id
        where p.currency <> a.currency
        """,
    ),
    (
        "L2",
        "all balances sum to zero in each currency",
        """
        select a.currency || ': ' || sum(p.minor)
        from store_posting p join store_bookaccount a on a.id = p.account_id
        group by a.currency having sum(p.minor) <> 0
        """,
    ),
    (
        "L3",
        "entries and postings are guarded against change, and none lost its postings",
        """
        select wanted.name || ' is missing or off'
        from (values ('posting_immutable', 'store_posting'::regclass),
                     ('entry_immutable', 'store_entry'::regclass),
                     ('entry_sums_to_zero', 'store_posting'::regclass),
                     ('event_immutable', 'store_event'::regclass)) as wanted(name, place)
        left join pg_trigger t on t.tgname = wanted.name and t.tgrelid = wanted.place
        where coalesce(t.tgenabled, 'D') not in ('O', 'A')
        union all
        select 'entry ' || e.id || ' has ' || count(p.id) || ' postings'
        from store_entry e left join store_posting p on p.entry_id = e.id
        group by e.id having count(p.id) < 2
        """,
    ),
    (
        "L4",
        "a kept balance is the sum of its account's postings",
        """
        select a.code || ': ' || a.balance_minor || ', postings ' || coalesce(sum(p.minor), 0)
        from store_bookaccount a left join store_posting p on p.account_id = a.id
        where a.balance_minor is not null or a.member_id is not null
        group by a.id having a.balance_minor is distinct from coalesce(sum(p.minor), 0)
        """,
    ),
    (
        "L6",
        "no member owes the house: no balance of theirs is negative",
        """
        select a.code || ': ' || sum(p.minor)
        from store_bookaccount a join store_posting p on p.account_id = a.id
        where a.member_id is not null group by a.id having sum(p.minor) < 0
        """,
    ),
    (
        "L7",
        "a request is answered once, and no answer is missing",
        """
        select 'request ' || member_id || ' ' || route || ' ' || key || ' is there twice'
        from store_idempotentrequest group by member_id, route, key having count(*) > 1
        union all
        select 'request ' || member_id || ' ' || route || ' ' || key || ' has no answer'
        from store_idempotentrequest where status is null
        """,
    ),
    (
        "L8",
        "gross is proceeds, commission, fee, tax and share, and settled so",
        """
        select id || ': ' || gross_minor || ' gross' from store_sale
        where gross_minor
           <> proceeds_minor + commission_minor + fee_minor + tax_minor + share_minor
        union all
        select s.id || ': ' || wanted.code || ' has ' || coalesce(sum(p.minor), 0)
        from store_sale s
        join store_member m on m.id = s.seller_id
        cross join lateral (
            values ('escrow:' || s.id, -s.gross_minor),
                   (case when s.kind <> 'trade' and m.is_house then 'revenue:primary'
                         else 'member:' || s.seller_id || ':payable' end, s.proceeds_minor),
                   ('revenue:commission', s.commission_minor),
                   ('revenue:fee', s.fee_minor),
                   ('tax', s.tax_minor),
                   ('suspense', s.share_minor)
        ) as wanted(code, minor)
        join store_entry e
          on e.kind = 'settled' and e.ref = s.id and e.namespace_id = s.namespace_id
        left join store_bookaccount a on a.namespace_id = s.namespace_id and a.code = wanted.code
        left join store_posting p on p.entry_id = e.id and p.account_id = a.id
        group by s.id, wanted.code, wanted.minor having coalesce(sum(p.minor), 0) <> wanted.minor
        """,
    ),
    (
        "L9",
        "what lies in a sale's escrow is what came in and went nowhere, at the end nothing",
        """
        with money as (
            select s.id, s.state, s.gross_minor,
                   exists (select from store_payment where sale_id = s.id
                           and kind = 'charge' and state = 'paid') as paid,
                   exists (select from store_payment where sale_id = s.id
                           and kind = 'refund' and state = 'done') as back,
                   exists (select from store_payment where sale_id = s.id
                           and kind = 'refund') as going,
                   (select coalesce(sum(o.minor), 0) from store_bankorder o
                    join store_payment p on p.id = o.payment_id
                    where p.sale_id = s.id and o.state = 'done') as gone,
                   (select coalesce(sum(c.amount_minor), 0) from store_chargeback c
                    where c.sale_id = s.id and c.status <> 'won'
                      and (c.source = 'escrow' or exists (
                           select from store_entry e where e.kind = 'absorbed' and e.ref = c.id))
                   ) as taken,
                   exists (select from store_chargeback
                           where sale_id = s.id and status = 'lost') as lost,
                   s.frozen or exists (
                       select from procrastinate_jobs j where j.task_name = 'chargeback.follow'
                       and j.status in ('todo', 'doing') and j.args ->> 'sale_id' = s.id
                   ) as bank,
                   (select coalesce(sum(c.amount_minor), 0) from store_chargeback c
                    where c.sale_id = s.id and c.status = 'lost') as theirs,
                   (select coalesce(sum(p.minor), 0) from store_posting p
                    join store_bookaccount a on a.id = p.account_id
                    where a.code = 'escrow:' || s.id and a.namespace_id = s.namespace_id) as lies
            from store_sale s
        )
        select id || ' (' || state || '): ' || lies || ' in escrow' from money
        where lies <> case when paid and not back and state not in ('settled', 'returning')
                           then gross_minor - taken - gone else 0 end
           or state in ('settled', 'returning') and (back or going)
           or state in ('funded', 'cooling', 'delivering', 'delivery_unknown', 'inspection',
                        'disputed', 'refunding', 'settled', 'returning', 'refunded') and not paid
           or state = 'refunded' and not back and not lost
           or state in ('refunding', 'cancelled', 'expired') and paid and not going and not bank
              and (state = 'refunding' or theirs < gross_minor)
        union all
        select coalesce(d.sale_id, e.ref) || ': a share claimed and booked differ'
        from (select sale_id, namespace_id, minor from store_displacedshare
              where claimed_at is not null) d
        full join (select e.ref, e.namespace_id, p.minor from store_entry e
                   join store_posting p on p.entry_id = e.id and p.minor > 0
                   where e.kind = 'shared') e
          on e.ref = d.sale_id and e.namespace_id = d.namespace_id
        where d.minor is distinct from e.minor
        union all
        select s.id || ': paid by transfer, ' || coalesce(e.minor, 0) || ' from suspense'
        from store_payment p join store_sale s on s.id = p.sale_id
        left join (select e.namespace_id, e.ref, -p.minor as minor
                   from store_entry e join store_posting p on p.entry_id = e.id
                   join store_bookaccount a on a.id = p.account_id and a.code = 'suspense'
                   where e.kind = 'funded') e on e.ref = s.id and e.namespace_id = s.namespace_id
        where p.kind = 'charge' and p.state = 'paid' and p.method = 'bank_transfer'
          and coalesce(e.minor, 0) <> s.gross_minor
        union all
        select s.id || ': ' || sum(d.minor) || ' were drawn from arrivals'
        from store_bankdraw d join store_sale s on s.id = d.sale_id
        group by s.id, s.gross_minor having sum(d.minor) <> s.gross_minor
        union all
        select p.sale_id || ': refunds of ' || sum(o.minor) || ' are ordered at the bank'
        from store_bankorder o join store_payment p on p.id = o.payment_id
        group by p.id having sum(o.minor) <> p.amount_minor
        union all
        select l.id || ': more was taken of it than came'
        from store_bankline l where l.minor > 0 and l.minor < l.rest_minor
          + (select coalesce(sum(minor), 0) from store_bankdraw where line_id = l.id)
          + (select coalesce(sum(minor), 0) from store_bankorder
             where line_id = l.id and kind = 'return')
          + (select coalesce(sum(amount_minor), 0) from store_deposit where id = l.deposit_id)
        union all
        select coalesce(d.id, e.ref) || ': put in by transfer, ' || coalesce(e.minor, 0)
               || ' from suspense'
        from (select * from store_deposit where state = 'paid' and method = 'bank_transfer') d
        full join (select e.namespace_id, e.ref, -p.minor as minor
                   from store_entry e join store_posting p on p.entry_id = e.id
                   join store_bookaccount a on a.id = p.account_id and a.code = 'suspense'
                   where e.kind = 'deposited') e on e.ref = d.id and e.namespace_id = d.namespace_id
        where d.amount_minor is distinct from e.minor
        union all
        select s.id || ': paid from the wallet, ' || coalesce(sum(p.minor), 0) || ' by '
               || wanted.kind
        from store_payment m join store_sale s on s.id = m.sale_id
        cross join lateral (
            values ('charge', 'funded', ':held', -s.gross_minor),
                   ('refund', 'refunded', ':available', s.gross_minor)
        ) as wanted(what, kind, part, minor)
        left join store_entry e
          on e.kind = wanted.kind and e.ref = s.id and e.namespace_id = s.namespace_id
        left join store_bookaccount a on a.namespace_id = s.namespace_id
          and a.code = 'member:' || s.buyer_id || wanted.part
        left join store_posting p on p.entry_id = e.id and p.account_id = a.id
        where m.method = 'wallet' and m.kind = wanted.what and m.state in ('paid', 'done')
        group by s.id, wanted.kind, wanted.minor having coalesce(sum(p.minor), 0) <> wanted.minor
        union all
        select o.id || ' (' || o.state || '): kept in the wallet, ' || coalesce(e.minor, 0)
        from (select id, state, amount_minor - recovered_minor as amount_minor
              from store_payout where state = 'kept') o
        full join (select e.ref, p.minor from store_entry e
                   join store_posting p on p.entry_id = e.id and p.minor > 0
                   where e.kind = 'to_wallet') e on e.ref = o.id
        where o.amount_minor is distinct from e.minor
        union all
        select coalesce(c.id, e.ref) || ': recovered or written off, and booked, differ'
        from (select r.id, r.minor from store_recovery r
              union all select id, written_off_minor from store_chargeback
              where written_off_minor > 0) c
        full join (select e.ref, p.minor from store_entry e
                   join store_posting p on p.entry_id = e.id and p.minor > 0
                   where e.kind in ('recovered', 'written_off')) e on e.ref = c.id
        where c.minor is distinct from e.minor
        union all
        select coalesce(v.id, e.ref) || ': came back, and booked, differ'
        from store_bounce v
        full join (select e.ref, p.minor from store_entry e
                   join store_posting p on p.entry_id = e.id and p.minor > 0
                   where e.kind = 'bounced') e on e.ref = v.id
        where v.minor is distinct from e.minor
        union all
        select 'of ' || r.id || ', ' || r.minor || ' were recovered'
        from (select id, recovered_minor as minor from store_chargeback
              union all select id, recovered_minor from store_payout) r
        where r.minor <> (select coalesce(sum(v.minor), 0) from store_recovery v
                          where v.chargeback_id = r.id or v.payout_id = r.id)
        union all
        select 'claims of ' || coalesce(c.minor, 0) || ' are left, booked are '
               || coalesce(b.minor, 0)
        from (select coalesce(s.namespace_id, d.namespace_id) as namespace_id,
                     sum(k.amount_minor - k.wallet_minor - k.recovered_minor - k.written_off_minor)
                       as minor
              from store_chargeback k left join store_sale s on s.id = k.sale_id
              left join store_deposit d on d.id = k.deposit_id
              where k.status <> 'won' and k.source <> 'escrow' and not exists (
                    select from store_entry e where e.kind = 'absorbed' and e.ref = k.id)
              group by 1) c
        full join (select a.namespace_id, -sum(p.minor) as minor
                   from store_posting p join store_bookaccount a on a.id = p.account_id
                   where a.code = 'receivable' group by 1) b using (namespace_id)
        where coalesce(c.minor, 0) <> coalesce(b.minor, 0)
        union all
        select s.id || ': proceeds of ' || s.proceeds_minor || ' without a payout'
        from store_sale s join store_member m on m.id = s.seller_id
        left join store_payout o on o.sale_id = s.id
        where s.state = 'settled' and not (s.kind <> 'trade' and m.is_house)
          and s.proceeds_minor <> coalesce(o.amount_minor, 0)
        union all
        select s.id || ' (' || s.state || ') was '
               || case when u.id is null then 'reversed, but never settled'
                       when r.id is null then 'settled, and nothing reversed it'
                       else 'reversed without an appeal that was right' end
        from store_sale s
        left join store_entry u
          on u.kind = 'settled' and u.ref = s.id and u.namespace_id = s.namespace_id
        left join store_entry r
          on r.kind = 'reversed' and r.ref = s.id and r.namespace_id = s.namespace_id
        where (r.id is not null) <> (u.id is not null and s.state not in ('settled', 'returning'))
           or r.id is not null and not exists (
              select from store_chargeback c where c.sale_id = s.id and c.status = 'lost')
           and not exists (
              select from store_appeal p
              where p.sale_id = s.id and p.state = 'upheld' and p.remedy = 'return_and_refund'
                and p.decided_at >= u.at and p.decided_at <= r.at)
        union all
        select a.code || ' keeps ' || sum(p.minor) || ' of the reversed settlement of ' || r.ref
        from store_entry r
        join store_entry e
          on e.ref = r.ref and e.namespace_id = r.namespace_id and e.kind in ('settled', 'reversed')
        join store_posting p on p.entry_id = e.id join store_bookaccount a on a.id = p.account_id
        where r.kind = 'reversed' group by r.ref, a.id having sum(p.minor) <> 0
        """,
    ),
    (
        "L10",
        "every payment, deposit, payout, chargeback and bank movement has its entry, and back",
        """
        with facts(namespace_id, kind, ref, provider_id, minor) as (
            select s.namespace_id, case p.kind when 'charge' then 'funded' else 'refunded' end,
                   s.id, coalesce(p.provider_id, p.id), p.amount_minor
            from store_payment p join store_sale s on s.id = p.sale_id
            where (p.kind, p.state) in (('charge', 'paid'), ('refund', 'done'))
              and not (p.kind = 'charge' and p.method = 'bank_transfer') and p.method <> 'wallet'
              and not exists (select from store_bankorder o where o.payment_id = p.id)
            union all
            select o.namespace_id, 'refunded',
                   case when exists (select from store_bankorder n
                                     where n.payment_id = p.id and n.id <> o.id)
                        then o.id else p.sale_id end,
                   o.provider_id, o.minor
            from store_bankorder o join store_payment p on p.id = o.payment_id
            where o.state = 'done'
            union all
            select namespace_id, 'deposited', id, provider_id, amount_minor
            from store_deposit where state = 'paid' and provider_id is not null
            union all
            select m.namespace_id, 'paid_out',
                   o.id || case when o.bounces > 0 then ':' || o.bounces else '' end, o.provider_id,
                   o.amount_minor - o.recovered_minor
            from store_payout o join store_member m on m.id = o.member_id where o.state = 'done'
            union all
            select l.namespace_id, 'paid_out', v.booked_as, v.provider_id, v.minor
            from store_bounce v join store_bankline l on l.id = v.line_id
            union all
            select namespace_id, case when minor > 0 then 'received' else 'taken' end,
                   id, ref, abs(minor)
            from store_bankline where outcome <> 'left'
            union all
            select namespace_id, 'returned', id, provider_id, minor
            from store_bankorder where kind = 'return' and state = 'done'
            union all
            select coalesce(s.namespace_id, d.namespace_id), told.kind, c.id, c.provider_id,
                   c.amount_minor
            from store_chargeback c left join store_sale s on s.id = c.sale_id
            left join store_deposit d on d.id = c.deposit_id
            join (values ('charged_back'), ('reinstated')) as told(kind)
              on told.kind = 'charged_back' or c.status = 'won'
        ), booked(namespace_id, kind, ref, provider_id, minor) as (
            select e.namespace_id, e.kind, e.ref, e.provider_id,
                   (select abs(sum(p.minor)) from store_posting p
                    join store_bookaccount a on a.id = p.account_id
                    where p.entry_id = e.id and a.code like 'world:%%')
            from store_entry e
            where e.kind in ('funded', 'refunded', 'paid_out', 'received', 'taken', 'returned',
                             'charged_back', 'reinstated', 'deposited')
              and e.provider_id is not null
        )
        select coalesce(f.kind, b.kind) || ' ' || coalesce(f.ref, b.ref) || ': '
               || case when b.ref is null then 'not booked'
                       when f.ref is null then 'booked, but nothing happened'
                       else 'booked as ' || coalesce(b.minor::text, '-') end
        from facts f full join booked b using (namespace_id, kind, ref, provider_id)
        where f.ref is null or b.ref is null or f.minor is distinct from b.minor
        """,
    ),
)
