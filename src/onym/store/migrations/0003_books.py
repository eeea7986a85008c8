"""The books' own guards: entries sum to zero at commit, postings are never changed."""

from django.db import migrations

FORWARD = """
create function onym_entry_sums_to_zero() returns trigger language plpgsql as $$
begin
    if exists (
        select 1 from store_posting where entry_id = new.entry_id
        group by currency having sum(minor) <> 0
    ) then
        raise exception 'entry % does not sum to zero', new.entry_id
            using errcode = 'check_violation', constraint = 'entry_sums_to_zero';
    end if;
    return null;
end $$;

create constraint trigger entry_sums_to_zero after insert on store_posting
    deferrable initially deferred
    for each row execute function onym_entry_sums_to_zero();

create function onym_immutable() returns trigger language plpgsql as $$
begin
    raise exception '% is never updated or deleted', tg_table_name
        using errcode = 'check_violation', constraint = tg_table_name || '_immutable';
end $$;

create trigger posting_immutable before update or delete on store_posting
    for each row execute function onym_immutable();
create trigger entry_immutable before update or delete on store_entry
    for each row execute function onym_immutable();

create function onym_event_immutable() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' or old.entry is distinct from new.entry
       or old.leaf_index is not null and old.leaf_index is distinct from new.leaf_index then
        raise exception 'an event is never changed'
            using errcode = 'check_violation', constraint = 'event_immutable';
    end if;
    return new;
end $$;

create trigger event_immutable before update or delete on store_event
    for each row execute function onym_event_immutable();
"""

BACKWARD = """
drop trigger event_immutable on store_event;
drop function onym_event_immutable();
drop trigger entry_immutable on store_entry;
drop trigger posting_immutable on store_posting;
drop function onym_immutable();
drop trigger entry_sums_to_zero on store_posting;
drop function onym_entry_sums_to_zero();
"""


class Migration(migrations.Migration):
    dependencies = (("store", "0002_tables"),)
    operations = (migrations.RunSQL(FORWARD, BACKWARD),)
