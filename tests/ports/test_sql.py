"""The mapped-SQL port on the database of a pretend forum, in a real PostgreSQL."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from tests.surfaces.test_breakers import Mute

from onym.core.errors import HandleMalformed, Malformed, PlatformUnavailable
from onym.ports import sql
from onym.ports.platform import Answer, Notice
from onym.ports.sql import Mapped, Sql, read_mapping

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "platform-sql.md"
FORUM = """
CREATE SCHEMA forum;
CREATE TABLE forum.users (
    id bigserial PRIMARY KEY,
    username varchar(20) NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now() - interval '3 years',
    last_seen_at timestamptz,
    topics int NOT NULL DEFAULT 0,
    banned boolean NOT NULL DEFAULT false,
    changed_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX users_username ON forum.users (lower(username));
CREATE TABLE forum.messages (id bigserial PRIMARY KEY, user_id bigint, body text, link text);
CREATE FUNCTION forum.touched() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM onym.handles WHERE handle = lower(NEW.username) AND reserved) THEN
        RAISE EXCEPTION 'this name is kept' USING ERRCODE = 'unique_violation';
    END IF;
    NEW.changed_at := clock_timestamp();
    RETURN NEW;
END $$;
CREATE TRIGGER touched BEFORE INSERT OR UPDATE ON forum.users
    FOR EACH ROW EXECUTE FUNCTION forum.touched();
CREATE VIEW forum.onym_accounts AS
SELECT id::text AS account_id, username AS handle, created_at, last_seen_at AS last_login_at,
       topics AS posts, CASE WHEN banned THEN 'suspended' ELSE 'active' END AS status, changed_at
FROM forum.users;
"""
RENAME = """UPDATE forum.users SET username = %(new)s
WHERE id = %(account_id)s::bigint AND lower(username) = %(old)s"""
NOTICE = """INSERT INTO forum.messages (user_id, body, link)
VALUES (%(account_id)s::bigint, %(text)s, %(href)s)"""
_numbers = itertools.count(1)


@pytest.fixture
def dsn(database):
    with psycopg.connect(database) as db:
        db.execute(sql.TABLES)
        db.execute(FORUM)
    return database


@pytest.fixture
def mapped(dsn):
    return Mapped(
        dsn=dsn,
        profile="x",
        view="forum.onym_accounts",
        rename=RENAME,
        custodian="kept",
        changed="changed_at",
        notice=NOTICE,
    )


@pytest.fixture
def port(mapped):
    return Sql(mapped, timeout=5.0)


@pytest.fixture
def people(dsn):
    """Accounts of the forum: name → id."""

    def sign_up(*names):
        with psycopg.connect(dsn) as db:
            return [
                str(
                    db.execute(
                        "INSERT INTO forum.users (username, last_seen_at) VALUES (%s, now()) "
                        "RETURNING id",
                        [name],
                    ).fetchone()[0]
                )
                for name in names
            ]

    return sign_up


def move(port, handle, source, to, **changes):
    wish = {
        "placeholder": None,
        "expected_holder": source,
        "fence": next(_numbers),
        "key": f"key-{next(_numbers)}",
    }
    return port.move(handle=handle, source=source, to=to, **wish | changes)


def holders(port, *handles):
    return [port.holder(handle=name).account_id for name in handles]


def test_accounts_are_read_from_the_view(port, people):
    alma, _ = people("Alma", "bert")
    row = port.account(account_id=alma)
    assert (row["handle"], row["status"], row["posts"]) == ("Alma", "active", 0)
    assert row["last_login_at"].tzinfo is not None
    assert port.account(account_id="999") is None
    assert port.holder(handle="ALMA").account_id == alma
    assert port.holder(handle="nobody").account_id is None
    assert {found["handle"] for found in port.accounts()[0]} == {"Alma", "bert"}
    with pytest.raises(HandleMalformed):
        port.holder(handle="no handle")


def test_what_it_can_do_follows_from_the_mapping(port, mapped, dsn):
    told = port.capabilities()
    assert (told.reserve, told.retain, told.notices, told.since) == (True,) * 4
    assert (told.atomic_move, told.hand_over, told.custodian) == (True, False, "kept")
    assert told.signals == ("created_at", "last_login_at", "posts", "status")
    bare = Sql(Mapped(dsn=dsn, profile="x", view=mapped.view, rename=RENAME)).capabilities()
    assert (bare.reserve, bare.retain, bare.notices, bare.since) == (False,) * 4


def test_pages_go_on_by_id_and_changes_are_told_since_an_instant(port, people, dsn):
    people(*(f"n{number}" for number in range(1003)))
    first = port.page()
    assert (len(first.rows), len(port.page(cursor=first.next).rows)) == (1000, 3)
    assert port.page(since=first.as_of + timedelta(seconds=1)).rows == []
    with psycopg.connect(dsn) as db:
        db.execute("UPDATE forum.users SET topics = 1 WHERE username = 'n7'")
    assert [row["handle"] for row in port.page(since=first.as_of).rows] == ["n7"]


def test_a_move_renames_both_in_one_step(port, people):
    seller, buyer = people("gold", "old")
    said = move(port, "gold", seller, buyer)
    assert (said.answer, said.facts["placeholder"]) == (Answer.DONE, f"user_{seller}")
    assert holders(port, "gold", f"user_{seller}", "old") == [buyer, seller, None]


def test_a_taken_placeholder_gives_way(port, people):
    seller, buyer, _ = people("gold", "old", "taken")
    given = move(port, "gold", seller, buyer, placeholder="taken").facts["placeholder"]
    assert given != "taken"
    assert holders(port, given) == [seller]


def test_a_retained_handle_is_kept_from_everybody_and_sold_from_there(port, people):
    seller, buyer, third = people("gold", "old", "other")
    assert move(port, "gold", seller, buyer, retain=True).done
    assert holders(port, "old") == ["kept"]
    with pytest.raises(psycopg.errors.UniqueViolation):
        people("old")
    assert move(port, "old", None, third, expected_holder="kept").done
    assert holders(port, "old", "other") == [third, None]


@pytest.mark.parametrize("name", ["John Smith", "Éloïse", "of_more_letters_than"])
def test_an_account_whose_name_is_no_handle_gets_one_and_its_name_is_free_again(port, people, name):
    seller, buyer = people("gold", name)
    said = move(port, "gold", seller, buyer, retain=True)
    assert (said.answer, holders(port, "gold")) == (Answer.DONE, [buyer])
    assert people(name), "a name that is no handle is kept for nobody"


def test_a_handle_is_detached_reserved_and_let_go(port, people):
    idle, _ = people("quiet", "old")
    assert move(port, "quiet", idle, "kept").done
    assert holders(port, "quiet", f"user_{idle}") == ["kept", idle]
    assert port.unreserve(handle="quiet", key="u1").done
    assert port.unreserve(handle="quiet", key="u2").code == "not_reserved"
    assert port.reserve(handle="quiet", key="r1").done
    assert port.reserve(handle="old", key="r2").code == "handle_held"


REFUSED = [
    ({"expected_holder": "{buyer}", "source": "{buyer}"}, "stale"),
    ({"expected_holder": None}, "stale"),
    ({"to": "999"}, "account_unknown"),
    ({"to": "{banned}"}, "account_unavailable"),
    ({"placeholder": "no handle"}, "handle_malformed"),
    ({"fence": 0}, "malformed"),
    ({"to": None}, "malformed"),
    ({"source": "{buyer}"}, "malformed"),
]


def test_a_move_is_refused_with_a_code_and_nothing_happens(port, people, dsn):
    for number, (changes, code) in enumerate(REFUSED):
        gold, old, bad = f"gold{number}", f"old{number}", f"bad{number}"
        seller, buyer, banned = people(gold, old, bad)
        with psycopg.connect(dsn) as db:
            db.execute("UPDATE forum.users SET banned = true WHERE username = %s", [bad])
        known = {"{buyer}": buyer, "{banned}": banned}
        wish = {"source": seller, "to": buyer, "expected_holder": seller, "fence": 1}
        wish |= {name: known.get(value, value) for name, value in changes.items()}
        said = move(port, gold, wish.pop("source"), wish.pop("to"), **wish)
        assert (said.answer, said.code) == (Answer.REFUSED, code), changes
        assert holders(port, gold, old) == [seller, buyer], changes
        assert move(port, gold, seller, buyer, fence=1).done, "the refusal used up the fence"


def test_only_a_higher_fence_moves_a_handle_and_a_bar_shuts_out_earlier_orders(port, people):
    one, two = people("gold", "old")
    assert move(port, "gold", one, one, fence=8).done
    for fence in (7, 8):
        said = move(port, "gold", one, two, fence=fence)
        assert (said.code, said.facts["code"]) == ("stale", "stale_fence")
    assert move(port, "nobodys", None, None, fence=5).done
    assert move(port, "nobodys", None, two, fence=5).code == "stale"
    assert move(port, "gold", one, two, fence=9).done


def test_a_key_has_one_answer_a_refusal_too(port, people):
    one, two = people("gold", "old")
    wish = {"key": "k", "fence": 1}
    first = move(port, "gold", one, two, **wish)
    assert move(port, "gold", two, one, fence=2).done
    assert move(port, "gold", one, two, **wish) == first
    refused = move(port, "gold", two, one, key="r", fence=3)
    assert refused.refused
    assert move(port, "gold", one, two, fence=4).done
    assert move(port, "gold", two, one, key="r", fence=3) == refused
    assert move(port, "gold", one, two, key="k", fence=9).code == "idempotency_mismatch"


def test_of_two_orders_at_once_one_wins_and_twins_hear_the_same(mapped, people):
    ports = [Sql(mapped, timeout=10.0) for _ in range(4)]
    for turn in range(5):
        seller, *buyers = people(f"gold{turn}", *(f"b{turn}_{n}" for n in range(4)))

        def race(n, seller=seller, buyers=buyers, turn=turn):
            return move(ports[n], f"gold{turn}", seller, buyers[n], fence=5, key=f"{turn}-{n}")

        with ThreadPoolExecutor(4) as threads:
            said = list(threads.map(race, range(4)))
        assert sorted(one.code for one in said) == ["", "stale", "stale", "stale"]
        twin = {"fence": 6, "key": f"twin-{turn}"}
        holder = ports[0].holder(handle=f"gold{turn}").account_id
        with ThreadPoolExecutor(4) as threads:
            said = list(
                threads.map(
                    lambda one, h=holder, t=turn, w=twin: move(one, f"gold{t}", h, h, **w), ports
                )
            )
        assert {one.answer for one in said} == {Answer.DONE}


def test_two_handles_for_one_account_at_once_end_with_one_of_them(mapped, people):
    ports = [Sql(mapped, timeout=10.0) for _ in range(2)]
    one, two, buyer = people("gold", "silver", "old")
    line = threading.Barrier(2)

    def race(n):
        line.wait()
        return move(ports[n], ("gold", "silver")[n], (one, two)[n], buyer, fence=1, key=f"k{n}")

    with ThreadPoolExecutor(2) as threads:
        said = list(threads.map(race, range(2)))
    assert all(one.done or (one.unknown and one.code == "in_progress") for one in said)
    held = [name for name in ("gold", "silver", "old") if holders(ports[0], name) == [buyer]]
    assert len(held) == 1


def test_a_stranger_who_takes_the_name_first_is_found_out_and_asking_again_decides(
    port, people, dsn
):
    (buyer,) = people("old")
    with psycopg.connect(dsn) as stranger:
        stranger.execute("INSERT INTO forum.users (username) VALUES ('fresh')")
        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(move, port, "fresh", None, buyer, key="k", fence=1)
            stranger.commit()
            said = waiting.result()
    assert said.answer is not Answer.DONE
    again = move(port, "fresh", None, buyer, key="k", fence=1)
    assert (again.code, again.facts["code"]) == ("stale", "wrong_holder")


class Cutting:
    """A line to the database that hands a COMMIT over and is cut before it is answered."""

    def __init__(self, dsn: str) -> None:
        parts = conninfo_to_dict(dsn)
        self._target = f"{parts['host']}/.s.PGSQL.{parts['port']}"
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.cuts = 1
        port = self._listener.getsockname()[1]
        self.dsn = make_conninfo(
            dsn, host="127.0.0.1", port=port, sslmode="disable", gssencmode="disable"
        )
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            far.connect(self._target)
            threading.Thread(target=self._down, args=(far, near), daemon=True).start()
            threading.Thread(target=self._up, args=(near, far), daemon=True).start()

    def _up(self, near: socket.socket, far: socket.socket) -> None:
        with contextlib.suppress(OSError):  # the other direction has closed them both
            while data := near.recv(65536):
                if b"COMMIT" in data and self.cuts:
                    self.cuts -= 1
                    near.shutdown(socket.SHUT_RDWR)
                    far.sendall(data)
                    break
                far.sendall(data)
            far.shutdown(socket.SHUT_WR)

    def _down(self, far: socket.socket, near: socket.socket) -> None:
        try:
            while data := far.recv(65536):
                near.sendall(data)
        except OSError:
            pass
        finally:
            near.close()
            far.close()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def test_a_move_whose_answer_was_lost_is_unknown_and_asking_again_tells_it(mapped, people, dsn):
    one, two = people("gold", "old")
    line = Cutting(dsn)
    cut = Sql(
        Mapped(
            dsn=line.dsn,
            profile="x",
            view=mapped.view,
            rename=RENAME,
            custodian="kept",
        ),
        timeout=5.0,
    )
    lost = move(cut, "gold", one, two, key="lost", fence=1)
    assert (lost.answer, lost.code) == (Answer.UNKNOWN, "no_answer")
    again = move(cut, "gold", one, two, key="lost", fence=1)
    line.close()
    assert (again.answer, again.facts["account_id"]) == (Answer.DONE, two)
    assert holders(Sql(mapped), "gold", f"user_{one}") == [two, one]


def test_notices_are_written_once_a_key_in_order(port, people, dsn):
    (one,) = people("gold")
    notices = [Notice(one, "warned", f"No. {n}", None, f"n{n}") for n in range(3)]
    notices.append(Notice("999", "warned", "x", None, "n9"))
    told = port.notify_all(notices=notices)
    assert [said.code for said in told] == ["", "", "", "account_unknown"]
    assert port.notify_all(notices=notices) == told
    with psycopg.connect(dsn) as db:
        bodies = db.execute("SELECT body FROM forum.messages ORDER BY id").fetchall()
    assert [body for (body,) in bodies] == ["No. 0", "No. 1", "No. 2"]


def test_a_database_that_is_mute_or_away_is_unavailable_and_writes_are_unknown(mapped):
    mute = Mute()
    for where in ("host=127.0.0.1 port=1", f"host=127.0.0.1 port={mute.base.rpartition(':')[2]}"):
        away = Sql(Mapped(dsn=where, profile="x", view="v", rename=RENAME), timeout=0.5)
        with pytest.raises(PlatformUnavailable):
            away.holder(handle="gold")
        assert move(away, "gold", "1", "2").unknown
        assert away.hand_over(account_id="1", email="e", fence=1, key="k").code == "not_supported"
    mute.close()


def test_a_view_with_a_number_for_an_id_or_an_instant_without_a_zone_is_no_answer(dsn, people):
    (one,) = people("gold")
    with psycopg.connect(dsn) as db:
        db.execute(
            "CREATE VIEW forum.bad AS SELECT id AS account_id, username AS handle FROM forum.users"
        )
        db.execute(
            "CREATE VIEW forum.worse AS SELECT id::text AS account_id, username AS handle, "
            "created_at::timestamp AS created_at FROM forum.users"
        )
    for view in ("forum.bad", "forum.worse"):
        port = Sql(Mapped(dsn=dsn, profile="x", view=view, rename=RENAME))
        with pytest.raises(PlatformUnavailable):
            port.accounts()
    assert one


def test_a_handle_that_the_view_gives_to_two_accounts_is_nobodys_to_move(port, people, dsn):
    with psycopg.connect(dsn) as db:
        db.execute("DROP INDEX forum.users_username")
    one, _, other = people("twice", "Twice", "third")
    with pytest.raises(PlatformUnavailable, match="more than one"):
        port.holder(handle="twice")
    assert move(port, "twice", one, other).unknown
    assert port.holder(handle="third").account_id == other


def test_the_guide_shows_the_tables_and_a_mapping_that_can_be_read(tmp_path):
    text = GUIDE.read_text()
    assert sql.TABLES in text
    file = tmp_path / "forum.toml"
    file.write_text(text.partition("```toml\n")[2].partition("```")[0])
    assert read_mapping(file).custodian == "kept"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("dsn = ", "Invalid value"),
        ('dsn = "x"', "missing"),
        (
            'dsn = "x"\nprofile = "x"\nview = "v"\nrename = "UPDATE t"',
            "does not use %(account_id)s",
        ),
        (
            'dsn = "x"\nprofile = "y"\nview = "v"\nrename = "%(account_id)s%(old)s%(new)s"',
            "profile",
        ),
        ('dsn = 1\nprofile = "x"\nview = "v"\nrename = "%(account_id)s%(old)s%(new)s"', "a text"),
        ('other = "x"', "unexpected"),
    ],
)
def test_a_mapping_that_cannot_be_used_is_refused_with_its_reason(tmp_path, text, said):
    (tmp_path / "m.toml").write_text(text)
    with pytest.raises(Malformed, match=said.replace("(", r"\(").replace(")", r"\)")):
        read_mapping(tmp_path / "m.toml")
