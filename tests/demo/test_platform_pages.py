"""Pages of the demo's platform: one sees a handle change hands, and nothing runs in them."""

from __future__ import annotations

import pytest
from tests.demo import plaza as plazas
from tests.demo.plaza import fresh_key, move


@pytest.fixture(scope="module")
def plaza(tmp_path_factory):
    running = plazas.start(tmp_path_factory.mktemp("plaza"))
    yield running
    running.program.stop()


@pytest.fixture(scope="module")
def port(plaza):
    return plaza.port()


def test_one_sees_a_handle_change_hands(plaza, port):
    (idle, handle), (buyer, old) = (
        plaza.sign_up(shown="Quiet Person", posts=3, last_post_at="2021-05-05T00:00:00Z"),
        plaza.sign_up(shown="Loud Person"),
    )
    wrote = plaza.program.get(f"/@{handle}").text
    assert move(port, handle, idle, buyer, placeholder="quiet_person", retain=True).done
    now, then = plaza.program.get(f"/@{handle}").text, plaza.program.get("/@quiet_person").text
    assert "Loud Person" in now
    assert f"<b>@{handle}</b> changed hands" in now
    assert "Quiet Person" in then
    assert f"This account was <b>@{handle}</b> until" in then
    posts = [line for line in wrote.splitlines() if line.startswith("<li value")]
    assert len(posts) == 3
    assert all(line in then for line in posts)
    home = plaza.program.get("/").text
    assert f"<b>@{handle}</b>" in home
    assert old in home


def test_a_mention_follows_the_account_not_the_handle(plaza, port):
    assert 'href="/@handle">@handle</a>' in plaza.program.get("/@moon").text
    buyer, _ = plaza.sign_up()
    assert move(port, "handle", "1007", buyer, placeholder="user_1007").done
    page = plaza.program.get("/@moon").text
    assert '<a href="/@user_1007">@handle</a> <small class="now">now @user_1007</small>' in page
    assert move(port, "handle", buyer, "1007", placeholder="gave_it_back").done


def test_the_story_of_handle_is_on_its_page(plaza):
    page = plaza.program.get("/@handle").text
    assert "relaunches this autumn" in page
    assert "2 May 2019" in page
    assert "does not answer" in page
    assert "9,412" in page


def test_posts_go_back_page_by_page(plaza):
    page = plaza.program.get("/@rosa_vega").text
    numbers = [int(part.split('"')[0]) for part in page.split('<li value="')[1:]]
    assert numbers == list(range(numbers[0], numbers[0] - 12, -1))
    older = plaza.program.get(f"/@rosa_vega?before={numbers[-1]}").text
    assert f'<li value="{numbers[-1] - 1}"' in older
    assert plaza.program.get("/@rosa_vega").text == page


def test_a_notice_is_shown_and_cannot_run_script(plaza, port):
    account_id, handle = plaza.sign_up()
    for href, text in (
        ("http://127.0.0.1:9/en/keep/abc", "Keep <b>it</b>"),
        ("javascript:alert(1)", "Evil"),
    ):
        assert port.notify(
            account_id=account_id, kind="warned", text=text, href=href, key=fresh_key()
        ).done
    page = plaza.program.get(f"/@{handle}").text
    assert '<a href="http://127.0.0.1:9/en/keep/abc"' in page
    assert "Keep &lt;b&gt;it&lt;/b&gt;" in page
    assert "javascript:" not in page


def test_search_finds_by_handle_and_by_name(plaza):
    plaza.sign_up(handle="zebra_walk", shown="Crosswalk <Painter>")
    assert "@zebra_walk" in plaza.program.get("/?q=zebra").text
    by_name = plaza.program.get("/?q=crosswalk").text
    assert "@kenji" in plaza.program.get("/?q=健二").text
    assert "@zebra_walk" in by_name
    assert "Crosswalk &lt;Painter&gt;" in by_name
    assert "Nobody here by that name" in plaza.program.get("/?q=%25%25qq").text


def test_browsing_leads_through_everybody_once(plaza):
    found, path = [], "/"
    while path:
        page = plaza.program.get(path).text
        people = page.split('<ul class="cards">')[1].split("</ul>")[0]
        found += [part.split('"')[0] for part in people.split('href="/@')[1:]]
        more = page.split('class="more"><a href="')[1:]
        path = more[0].split('"')[0].replace("&amp;", "&") if more else ""
    assert len(found) == len(set(found)) >= 60


def test_a_handle_that_nobody_can_have_is_nobodys_page(plaza):
    for name in ("no-dash", "<script>", "nobody_here"):
        answer = plaza.program.get(f"/@{name}")
        assert answer.status_code == 404
        assert "Nobody is here by that handle" in answer.text
        assert "<script>" not in answer.text


def test_pages_bring_a_strict_policy_and_nothing_from_elsewhere(plaza):
    for path in ("/", "/@handle", "/@nobody_here"):
        answer = plaza.program.get(path)
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src")
        assert "<script" not in answer.text
        assert "style=" not in answer.text
    for path, kind in (("/plaza.css", "text/css"), ("/icon.svg", "image/svg+xml")):
        assert plaza.program.get(path).headers["Content-Type"].startswith(kind)
