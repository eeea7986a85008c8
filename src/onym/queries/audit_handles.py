"""What must be true of handles, tenures, hand-overs, offers, invitations and deadlines.

Each query gives one text per broken row; none is the good answer. docs/concepts/audit.md.
"""

from __future__ import annotations

LIVE = (
    "('agreed', 'funding', 'funding_unknown', 'funded', 'cooling', 'delivering',"
    " 'delivery_unknown', 'inspection', 'disputed', 'returning', 'refunding')"
)
HELD_FAST = (
    "('funded', 'cooling', 'delivering', 'delivery_unknown', 'inspection', 'disputed', 'returning')"
)
"""States of a sale in which nothing but its own move may take the handle away."""

CHECKS: tuple[tuple[str, str, str], ...] = (
    (
        "H1",
        "a held handle has one open tenure, its holder's; one that nobody holds has none",
        """
        select h.handle || ': ' || count(t.id) || ' open tenures, held by '
               || coalesce(h.account_id, 'nobody')
        from store_handle h left join store_tenure t on t.handle_id = h.id and t.held_to is null
        group by h.id
        having count(t.id) <> (h.account_id is not null)::int
            or min(t.account_id) is distinct from h.account_id
        """,
    ),
    (
        "H2",
        "a handle has one sale slot, filled by its open listing or its live sale",
        f"""
        with selling(handle_id, ref) as (
            select handle_id, id from store_sale where state in {LIVE}
            union all select handle_id, id from store_listing where state = 'open'
        )
        select coalesce(s.ref, f.ref) || ' sells handle ' || coalesce(s.handle_id, f.handle_id)
               || case when f.ref is null then ' without its slot' else ' no more' end
        from selling s full join store_saleslot f using (handle_id, ref)
        where s.ref is null or f.ref is null
        union all
        select 'handle ' || handle_id || ' is sold ' || count(*) || ' times at once'
        from selling group by handle_id having count(*) > 1
        """,  # noqa: S608 - constants of this file
    ),
    (
        "H3",
        "tenures follow one another without a gap, and each has a cause",
        """
        with chain as (
            select h.handle, t.*,
                   lag(t.held_to) over way as before, lag(t.account_id) over way as previous,
                   row_number() over way as step
            from store_tenure t join store_handle h on h.id = t.handle_id
            window way as (partition by t.handle_id order by t.held_from, t.id)
        )
        select handle || ': tenure ' || id || ' from ' || held_from from chain
        where cause = '' or held_to <= held_from
           or step > 1 and (before is null or before > held_from)
           or step > 1 and before < held_from
              and cause not in ('registered', 'primary', 'house', 'granted', 'platform')
        union all
        select c.handle || ': tenure ' || c.id || ' by ' || c.cause || ' without its sale'
        from chain c
        where c.cause in ('trade', 'primary', 'house') and not exists (
            select from store_transfer t join store_sale s on s.id = t.sale_id
            where t.handle_id = c.handle_id and s.kind = c.cause and t.state = 'done'
              and t.read_back_account_id = c.account_id
              and t.source is not distinct from
                  case when c.before = c.held_from then c.previous else t.source end)
        """,
    ),
    (
        "H4",
        "nothing is paid out undelivered, and nothing refunded delivered",
        """
        select id || ' is settled, but ' || coalesce(read_back_account_id, 'nobody') || ' holds it'
        from store_sale
        where state = 'settled' and read_back_account_id is distinct from buyer_account_id
        union all
        select id || ' is ' || state || ', but the buyer holds it' from store_sale
        where state in ('refunding', 'refunded') and read_back_account_id = buyer_account_id
        union all
        select s.id || ' is ' || s.state || ', but the account is its buyer''s'
        from store_sale s join store_transfer t on t.sale_id = s.id
        where s.term = 'account' and s.state in ('refunding', 'refunded')
          and t.hands_to_id = s.buyer_id and t.read_back_account_id is not null
          and not exists (
            select from store_transfer back where back.sale_id = s.id and back.fence > t.fence
              and back.hands_to_id = s.seller_id and back.read_back_account_id is not null)
        union all
        select s.id || ' sold an account whole, and ' || k.member_id || ' has it'
        from store_sale s join store_link k
          on k.namespace_id = s.namespace_id and k.account_id = s.seller_account_id
        where s.term = 'account' and s.state in ('inspection', 'settled')
          and k.member_id = s.seller_id and k.linked_at < s.agreed_at and k.unlinked_at is null
        union all
        select o.id || ' is paid for ' || s.id || ', which is ' || s.state
        from store_payout o join store_sale s on s.id = o.sale_id
        where s.state <> 'settled' and o.state <> 'withheld'
        union all
        select s.id || ' is settled without a read-back of its transfer' from store_sale s
        where s.state = 'settled' and not exists (
            select from store_transfer t where t.sale_id = s.id and t.state = 'done'
              and t.read_back_account_id = s.buyer_account_id
              and (s.term = 'handle' or t.hands_to_id = s.buyer_id))
        """,
    ),
    (
        "H5",
        "every write to the platform has its own fence and the holder that it expects",
        """
        select h.handle || ': fence ' || t.fence || ' is used ' || count(*) || ' times'
        from store_transfer t join store_handle h on h.id = t.handle_id
        group by h.handle, t.handle_id, t.fence having count(*) > 1
        union all
        select t.id || ': fence ' || t.fence || ' is above the handle''s ' || h.fence
        from store_transfer t join store_handle h on h.id = t.handle_id where t.fence > h.fence
        union all
        select id || ' expects another holder than it moves from' from store_transfer
        where expected_holder is distinct from source
        union all
        select late.id || ' was ordered while ' || early.id || ' was still open'
        from store_transfer late join store_transfer early
          on early.handle_id = late.handle_id and early.fence < late.fence
        where early.state in ('pending', 'sent', 'unknown')
        union all
        select one.id || ' uses the fence of ' || other.id || ' for account ' || one."to"
        from store_transfer one join store_transfer other
          on other.namespace_id = one.namespace_id and other."to" = one."to" and other.id > one.id
        where one.hands_to_id is not null and other.hands_to_id is not null
          and other.fence in (one.fence, one.bar_fence)
        """,
    ),
    (
        "H6",
        "a handle in escrow is locked for its sale and moves by it alone",
        f"""
        select s.id || ' is ' || s.state || ', but the handle is locked by '
               || coalesce(h.locked_by, 'nothing')
        from store_sale s join store_handle h on h.id = s.handle_id
        where s.state in {HELD_FAST} and h.locked_by is distinct from s.id
        union all
        select h.handle || ' is locked by ' || h.locked_by || ', which is not in escrow'
        from store_handle h
        where h.locked_by is not null and not exists (
            select from store_sale s
            where s.id = h.locked_by and s.handle_id = h.id and s.state in {HELD_FAST})
        union all
        select t.id || ' moved a handle in the escrow of ' || s.id
        from store_transfer t join store_sale s on s.handle_id = t.handle_id
        where t.sale_id is distinct from s.id and s.funded_at is not null
          and t.started_at >= s.funded_at
          and t.started_at < coalesce(s.closed_at, 'infinity'::timestamptz)
        union all
        select s.id || ' is disputed, but its handle went to ' || n.account_id
        from store_sale s join store_tenure n on n.handle_id = s.handle_id
        where s.state = 'disputed' and n.held_to is null
          and n.account_id <> s.buyer_account_id
        """,  # noqa: S608 - constants of this file
    ),
    (
        "H8",
        "nothing that was keyed by the handle's text outlives its tenure",
        """
        select o.id || ' was made to ' || o.holder_account_id || ', who holds it no more'
        from store_offer o join store_handle h on h.id = o.handle_id
        where o.state = 'open' and o.holder_account_id is distinct from h.account_id
        union all
        select l.id || ' is listed by ' || l.seller_id || ', who holds it no more'
        from store_listing l join store_handle h on h.id = l.handle_id
        join store_member m on m.id = l.seller_id
        where l.state = 'open' and not m.is_house and not exists (
            select from store_link k where k.member_id = l.seller_id
              and k.account_id = h.account_id)
        union all
        select c.id || ' invites to a handle that changed hands'
        from store_campaign c join store_handle h on h.id = c.handle_id
        where c.state <> 'closed' and h.changed_hands_at > c.committed_at
        """,
    ),
    (
        "H9",
        "nothing is sold whose holder kept it or came back before the money was in escrow",
        """
        select s.id || ': ' || h.handle || ' was ' || r.ending || ' before the money came'
        from store_reclaim r join store_sale s on s.handle_id = r.handle_id
        join store_handle h on h.id = r.handle_id
        where s.kind = 'primary' and s.seller_account_id = r.account_id
          and r.ending in ('kept', 'returned') and s.agreed_at <= r.ended_at
          and s.funded_at > r.ended_at
          and s.state not in ('refunding', 'refunded', 'cancelled', 'expired')
        """,
    ),
    (
        "O1",
        "an offer or invitation is accepted once, by whom it was for, at its price, in time",
        """
        select 'offer ' || o.id || ' has ' || count(s.id) || ' sales of its own'
        from store_offer o left join store_sale s on s.by = o.id
          and s.mechanism = 'offer' and s.handle_id = o.handle_id
          and s.price_minor = o.price_minor and s.currency = o.currency
          and s.buyer_id = o.buyer_id
          and s.seller_account_id = o.holder_account_id and s.agreed_at <= o.expires_at
        group by o.id having count(s.id) <> (o.state = 'accepted')::int
        union all
        select 'invitation ' || i.id || ' has ' || count(s.id) || ' sales of its own'
        from store_invitation i join store_campaign c on c.id = i.campaign_id
        left join store_sale s on s.by = i.id and s.mechanism = 'invitation'
          and s.handle_id = c.handle_id and s.price_minor = c.price_minor
          and s.currency = c.currency and s.agreed_at < i.expires_at
          and (starts_with(i.recipient_index, 'gone:')
               or exists (select from store_mailaddress a where a.member_id = s.buyer_id
                          and a.address_index = i.recipient_index))
        group by i.id having count(s.id) <> (i.state = 'accepted')::int
        union all
        select s.id || ' agrees by ' || s.by || ', which was not accepted' from store_sale s
        where s.mechanism = 'offer'
          and not exists (select from store_offer where id = s.by and state = 'accepted')
           or s.mechanism = 'invitation'
          and not exists (select from store_invitation where id = s.by and state = 'accepted')
        union all
        select 'campaign ' || campaign_id || ' was accepted ' || count(*) || ' times'
        from store_invitation where state = 'accepted' group by campaign_id having count(*) > 1
        """,
    ),
    (
        "Q1",
        "an order has one effect: one charge, one refund, one move a sale; no job is given up",
        """
        select sale_id || ': ' || count(*) || ' ' || kind || 's' from store_payment
        where (kind, state) in (('charge', 'paid'), ('refund', 'done'))
        group by sale_id, kind having count(*) > 1
        union all
        select sale_id || ': ' || count(*) || ' moves' from store_transfer
        where state = 'done' and sale_id is not null
        group by sale_id, "to", hands_to_id having count(*) > 1
        union all
        select 'job ' || id || ' (' || task_name || ') failed for good'
        from procrastinate_jobs where status = 'failed'
        """,
    ),
    (
        "Q2",
        "no private offer goes to an address that wants none, nothing to one that was forgotten",
        """
        select n.id || ' was sent' from store_notice n join store_suppression s
          on s.namespace_id = n.namespace_id and s.address_index = n.address_index
        where n.state = 'sent' and n.address_index <> '' and n.answered_at > s.at
          and s.reason <> 'unsubscribed' and n.kind <> 'sign_in_code'
        union all
        select i.id || ' was sent' from store_invitation i
        join store_campaign c on c.id = i.campaign_id
        join store_suppression s
          on s.namespace_id = c.namespace_id and s.address_index = i.recipient_index
        where i.sent_at > s.at
        """,
    ),
    (
        "Q3",
        "every deadline was kept by the market's one clock",
        """
        select id || ' expired early' from store_sale
        where state = 'expired' and closed_at < funding_until
        union all
        select p.id || ' was asked for after the time to pay'
        from store_payment p join store_sale s on s.id = p.sale_id
        where p.kind = 'charge' and p.made_at >= s.funding_until
        union all
        select t.id || ' was delivered before cooling-off was over'
        from store_transfer t join store_sale s on s.id = t.sale_id
        where t.started_at < s.cooling_until
        union all
        select id || ' expired early' from store_offer o
        where state = 'expired' and closed_at < expires_at and not exists (
            select from store_tenure t where t.handle_id = o.handle_id and t.held_to = o.closed_at)
        union all
        select id || ' was paid early' from store_payout
        where state = 'done' and answered_at < due_at
        union all
        select s.id || ' was disputed late' from store_sale s
        where s.closed_at < s.agreed_at or s.funded_at < s.agreed_at
        """,
    ),
)
