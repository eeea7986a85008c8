"""The house rules that a machine can check; ARCHITECTURE.md and GLOSSARY.md say why they are so."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILE_LINES, FUNCTION_LINES = 500, 70  # the caps; the aims are 300 and 10

Function = ast.FunctionDef | ast.AsyncFunctionDef


@functools.cache
def tracked() -> tuple[Path, ...]:
    """What is in the repository, or would be after `git add`."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    return tuple(sorted({ROOT / name for name in said.split("\0") if (ROOT / name).is_file()}))


def modules(*folders: str) -> list[Path]:
    """Python files below these folders; migrations are generated and stand apart."""
    wanted = [ROOT / folder for folder in folders]
    return [
        path
        for path in tracked()
        if path.suffix == ".py"
        and "migrations" not in path.parts
        and any(path.is_relative_to(folder) for folder in wanted)
    ]


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def short(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(path: Path) -> Iterator[Function]:
    for node in ast.walk(tree(path)):
        if isinstance(node, Function):
            yield node


def length(node: Function) -> int:
    """Lines of a function, its docstring and decorators apart."""
    first = node.body[0]
    told = ast.get_docstring(node, clean=False) is not None
    document = (first.end_lineno or 0) - first.lineno + 1 if told else 0
    return (node.end_lineno or node.lineno) - node.lineno + 1 - document


def dotted(node: ast.AST) -> str:
    """`a.b.c` of nested attributes, as far as it is made of names."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def imports(path: Path) -> Iterator[str]:
    """Every imported module, and every name imported from one, dotted."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def found(path: Path, pattern: str) -> list[str]:
    """`file:line` of each line that matches."""
    try:
        lines = path.read_text().splitlines()
    except UnicodeDecodeError:
        return []
    return [f"{short(path)}:{n}" for n, line in enumerate(lines, 1) if re.search(pattern, line)]


def expect_none(wrong: list[str]) -> None:
    """Fails with the whole list, one a line."""
    assert not wrong, "\n" + "\n".join(wrong)


# Size


def test_no_file_is_longer_than_the_cap() -> None:
    sizes = {short(p): len(p.read_text().splitlines()) for p in modules("src", "tests", "tools")}
    worst = sorted(sizes.items(), key=lambda item: -item[1])
    print("longest files:", *(f"\n  {lines} {name}" for name, lines in worst[:5]))
    expect_none([f"{lines} {name}" for name, lines in worst if lines > FILE_LINES])


def test_no_function_is_longer_than_the_cap() -> None:
    sizes = {
        f"{short(path)}:{node.lineno} {node.name}": length(node)
        for path in modules("src", "tests", "tools")
        for node in functions(path)
    }
    worst = sorted(sizes.items(), key=lambda item: -item[1])
    print("longest functions:", *(f"\n  {lines} {name}" for name, lines in worst[:5]))
    expect_none([f"{lines} {name}" for name, lines in worst if lines > FUNCTION_LINES])


# Names

EMPTY_NAMES = r"(?i)(^|_)(utils?|helpers?|managers?|services?|common|misc|lib|stuff|base)(_|$)"
EMPTY_CLASSES = r"(Manager|Helper|Service|Util|Utils|Mixin|Factory|Repository|UnitOfWork)$"


def test_no_file_has_an_empty_name() -> None:
    parts = {
        part for path in modules("src") for part in path.relative_to(ROOT).with_suffix("").parts
    }
    expect_none(sorted(part for part in parts if re.search(EMPTY_NAMES, part)))


def test_no_class_has_an_empty_name() -> None:
    named = [
        f"{short(path)}:{node.lineno} {node.name}"
        for path in modules("src")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ClassDef) and re.search(EMPTY_CLASSES, node.name)
    ]
    expect_none(named)


# From the glossary's column "never say", as far as the word has no other honest meaning here.
NEVER_SAY = {
    "username",
    "realm",
    "tenant",
    "customer",
    "blacklist",
    "blacklisted",
    "quarantined",
    "tombstoned",
    "banned",
    "preorder",
    "deal",
    "workspace",
    "backoffice",
    "normalized2",
}


def defined(path: Path) -> Iterator[tuple[int, str]]:
    """Every name that this file gives to something: what it calls is not its choice."""
    for node in ast.walk(tree(path)):
        if isinstance(node, Function | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id


def words(name: str) -> set[str]:
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", name)}


def test_code_uses_the_glossarys_words() -> None:
    wrong = [
        f"{short(path)}:{line} {name}"
        for path in modules("src/onym")
        for line, name in defined(path)
        if words(name) & NEVER_SAY
    ]
    expect_none(wrong)


# Time, chance and state

CLOCKS = {
    "datetime.now",
    "datetime.utcnow",
    "datetime.datetime.now",
    "datetime.datetime.utcnow",
    "datetime.date.today",
    "date.today",
    "time.time",
    "time.time_ns",
    "timezone.now",
}
CHANCE = {"random", "secrets", "uuid.uuid4", "uuid.uuid1", "os.urandom"}


def test_no_decision_reads_a_clock() -> None:
    """The one clock of the market is the database's, read in store/clock.py."""
    read = [
        f"{short(path)}:{node.lineno}"
        for path in modules(*(f"src/onym/{floor}" for floor in ("tlog", "core", "sweep", "flows")))
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and dotted(node.func) in CLOCKS
    ]
    expect_none(read)


def test_core_draws_nothing_at_random() -> None:
    drawn = {
        short(path): sorted(set(imports(path)) & CHANCE)
        for path in modules("src/onym/core", "src/onym/tlog")
        if set(imports(path)) & CHANCE
    }
    assert drawn == {}


def test_there_are_no_signals() -> None:
    """What happens is written where it happens."""
    wired = [
        short(path)
        for path in modules("src")
        if any(
            re.match(r"django\.(dispatch|db\.models\.signals|core\.signals)", n)
            for n in imports(path)
        )
    ]
    expect_none(wired)


def test_rows_have_no_logic_in_save() -> None:
    """Nobody overrides save(); nobody above the flows calls it."""
    overridden = [
        f"{short(path)}:{node.lineno}"
        for path in modules("src/onym")
        for node in functions(path)
        if node.name in ("save", "bulk_create", "full_clean")
    ]
    above = modules(
        *(f"src/onym/{floor}" for floor in ("api", "web", "desk", "cli", "jobs", "queries"))
    )
    rows = [path for path in above if path.name != "picture.py"]  # what is saved there is a PNG
    called = [hit for path in rows for hit in found(path, r"\.save\(")]
    expect_none(overridden + called)


def test_row_locks_are_taken_in_one_file() -> None:
    taken = [
        hit
        for path in modules("src/onym")
        if short(path) != "src/onym/store/rowlocks.py"
        for hit in found(path, r"select_for_update|(?i:\bfor (no key )?update\b)(?!.*skip)")
        if not found_in_text_only(path, hit)
    ]
    expect_none(taken)


def found_in_text_only(path: Path, hit: str) -> bool:
    """Is the line part of a docstring or a comment?"""
    number = int(hit.rpartition(":")[2])
    line = path.read_text().splitlines()[number - 1]
    if line.lstrip().startswith("#"):
        return True
    return any(
        isinstance(node, ast.Module | ast.ClassDef | Function)
        and ast.get_docstring(node) is not None
        and node.body[0].lineno <= number <= (node.body[0].end_lineno or 0)
        for node in ast.walk(tree(path))
    )


def test_the_django_admin_is_not_installed() -> None:
    assert [
        hit for path in modules("src") for hit in found(path, r"django\.contrib\.admin\b")
    ] == []


def test_no_request_is_one_transaction() -> None:
    expect_none([hit for path in modules("src") for hit in found(path, r"ATOMIC_REQUESTS\W+True")])


# Money

MONEY = ("money", "fees", "ledger", "sale", "offer", "listing", "invitation", "payments")


def test_money_never_becomes_a_float() -> None:
    """Neither by a call, nor by a literal, nor by a division: only `allocate` divides."""
    floating = [
        f"{short(path)}:{node.lineno}"
        for path in modules("src/onym/core", "src/onym/flows", "src/onym/store", "src/onym/ports")
        if path.stem in MONEY
        for node in ast.walk(tree(path))
        if makes_a_float(node) and isinstance(node, ast.expr)
    ]
    expect_none(floating)


def makes_a_float(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, float)
    if isinstance(node, ast.Call):
        return dotted(node.func) == "float"
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and not joins_paths(node)


def joins_paths(node: ast.BinOp) -> bool:
    """`folder / "name"` is no division."""
    sides = (node.left, node.right)
    return any(
        isinstance(side, ast.Constant) and isinstance(side.value, str) for side in sides
    ) or any(isinstance(side, ast.JoinedStr) for side in sides)


# Documents and tests


def test_every_module_says_what_it_promises() -> None:
    silent = [
        short(path)
        for path in modules("src", "tests", "tools")
        if path.read_text().strip() and not ast.get_docstring(tree(path))
    ]
    expect_none(silent)


# Modules that no test names, because a test of something larger goes through all of them.
COVERED = {
    "src/onym/core/plain.py": "tests/surfaces/test_api.py",
    "src/onym/web/privacy.py": "tests/surfaces/test_privacy.py",
    "src/onym/flows/sessions.py": "tests/surfaces/test_security.py",
    "src/onym/flows/sign_in.py": "tests/surfaces/test_sign_in.py",
    "src/onym/queries/demo.py": "tests/surfaces/test_sign_in.py",
    "src/onym/queries/factors.py": "tests/surfaces/test_security.py",
    "src/onym/queries/sessions.py": "tests/surfaces/test_security.py",
    "src/onym/cli/appraise.py": "tests/surfaces/test_cli_appraise.py",
    "src/onym/cli/platform.py": "tests/surfaces/test_cli_platform.py",
    "src/onym/cli/witness.py": "tests/surfaces/test_verify.py",
    "src/onym/core/listing.py": "tests/flows/test_sale.py",
    "src/onym/core/record_desk.py": "tests/core/test_record_lies.py",
    "src/onym/flows/appraisal.py": "tests/surfaces/test_desk_leaves.py",
    "src/onym/flows/documents.py": "tests/surfaces/test_chain.py",
    "src/onym/flows/part.py": "tests/flows/test_reclaim.py",
    "src/onym/flows/remedy.py": "tests/faults/test_undoing.py",
    "src/onym/flows/standing.py": "tests/flows/test_reclaim.py",
    "src/onym/store/limits.py": "tests/flows/test_limits.py",
    "src/onym/flows/sweep.py": "tests/surfaces/test_chain.py",
    "src/onym/jobs/__main__.py": "tests/surfaces/test_chain.py",
    "src/onym/jobs/queue.py": "tests/surfaces/test_chain.py",
    "src/onym/jobs/sweep.py": "tests/surfaces/test_chain.py",
    "src/onym/flows/disclosure.py": "tests/surfaces/test_desk_pages.py",
    "src/onym/queries/desk.py": "tests/surfaces/test_desk.py",
    "src/onym/queries/overview.py": "tests/surfaces/test_desk.py",
    "src/onym/queries/queue.py": "tests/surfaces/test_desk_pages.py",
    "src/onym/queries/sweep.py": "tests/surfaces/test_desk_pages.py",
    "src/onym/store/disclosure.py": "tests/surfaces/test_desk_pages.py",
    "src/onym/store/shortlist.py": "tests/store/test_desk.py",
    "src/onym/store/sweep.py": "tests/store/test_desk.py",
    "src/onym/web/address.py": "tests/surfaces/test_changes.py",
    "src/onym/sweep/moves.py": "tests/flows/test_moves.py",
    "src/onym/sweep/refresh.py": "tests/surfaces/test_import_platform.py",
    "src/onym/sweep/counts.py": "tests/surfaces/test_demo_history.py",
    "src/onym/ports/__init__.py": "tests/flows/test_reclaim.py",
    "src/onym/ports/inbox.py": "tests/ports/test_payments_out.py",
    "src/onym/ports/signatures.py": "tests/ports/test_platform.py",
    "src/onym/queries/appraisal.py": "tests/surfaces/test_api.py",
    "src/onym/queries/audit_handles.py": "tests/surfaces/test_audit.py",
    "src/onym/queries/audit_log.py": "tests/surfaces/test_audit.py",
    "src/onym/queries/invitation.py": "tests/surfaces/test_chain.py",
    "src/onym/queries/ledger.py": "tests/surfaces/test_chain.py",
    "src/onym/queries/listing.py": "tests/surfaces/test_pages.py",
    "src/onym/queries/log.py": "tests/surfaces/test_chain.py",
    "src/onym/queries/names.py": "tests/surfaces/test_api.py",
    "src/onym/queries/offer.py": "tests/surfaces/test_pages.py",
    "src/onym/queries/payments.py": "tests/surfaces/test_chain.py",
    "src/onym/queries/reasons.py": "tests/flows/test_reclaim.py",
    "src/onym/queries/sale.py": "tests/surfaces/test_api.py",
    "src/onym/site/demo_pds.py": "tests/surfaces/test_pds.py",
    "src/onym/ports/atproto_accounts.py": "tests/ports/test_atproto.py",
    "src/onym/ports/atproto_moves.py": "tests/faults/test_pds.py",
    "src/onym/ports/journal.py": "tests/faults/test_pds.py",
    "src/onym_demo/pds/__main__.py": "tests/surfaces/test_pds.py",
    "src/onym_demo/pds/life.py": "tests/surfaces/test_pds.py",
    "src/onym_demo/pds/people.py": "tests/surfaces/test_pds.py",
    "src/onym/site/apps.py": "tests/surfaces/test_command.py",
    "src/onym/site/asgi.py": "tests/surfaces/test_supervisor.py",
    "src/onym/site/demo.py": "tests/surfaces/test_chain.py",
    "src/onym/site/demo_history.py": "tests/surfaces/test_chain.py",
    "src/onym/site/demo_time.py": "tests/surfaces/test_demo_history.py",
    "src/onym/site/health.py": "tests/surfaces/test_supervisor.py",
    "src/onym/site/keys.py": "tests/surfaces/test_chain.py",
    "src/onym/site/launch.py": "tests/surfaces/test_supervisor.py",
    "src/onym/site/measure_pages.py": "tests/surfaces/test_bench_pages.py",
    "src/onym/site/measure_sale.py": "tests/surfaces/test_bench_sale.py",
    "src/onym/site/measured.py": "tests/surfaces/test_bench_pages.py",
    "src/onym/site/migrate.py": "tests/surfaces/test_command.py",
    "src/onym/site/outside.py": "tests/surfaces/test_supervisor.py",
    "src/onym/site/ownership.py": "tests/surfaces/test_supervisor.py",
    "src/onym/site/settings.py": "tests/surfaces/test_command.py",
    "src/onym/site/up.py": "tests/surfaces/test_supervisor.py",
    "src/onym/site/urls.py": "tests/surfaces/test_supervisor.py",
    "src/onym/site/wsgi.py": "tests/surfaces/test_supervisor.py",
    "src/onym/store/desk.py": "tests/store/test_constraints.py",
    "src/onym/store/ids.py": "tests/flows/test_sale.py",
    "src/onym/store/invitation.py": "tests/store/test_constraints.py",
    "src/onym/store/ledger.py": "tests/store/test_constraints.py",
    "src/onym/store/listing.py": "tests/store/test_constraints.py",
    "src/onym/store/look.py": "tests/queries/test_look.py",
    "src/onym/store/names.py": "tests/store/test_constraints.py",
    "src/onym/store/offer.py": "tests/store/test_constraints.py",
    "src/onym/store/people.py": "tests/store/test_constraints.py",
    "src/onym/store/record.py": "tests/store/test_constraints.py",
    "src/onym/store/sale.py": "tests/store/test_constraints.py",
    "src/onym/store/transfer.py": "tests/store/test_constraints.py",
    "src/onym/web/looking.py": "tests/queries/test_search.py",
    "src/onym_demo/phrases.py": "tests/demo/test_sample.py",
}


SURFACES = {"api", "web", "desk", "cli", "jobs", "site"}


def folder_of_tests(path: Path) -> str:
    """Test folders follow the floors; surfaces and site share one, and the demo has its own."""
    package, floor = path.relative_to(ROOT / "src").parts[:2]
    if package == "onym_demo":
        return "demo"
    return "surfaces" if floor in SURFACES else floor


def test_every_module_has_a_test_that_names_it_or_is_listed_with_the_one_that_covers_it() -> None:
    """A file named for it or its package in the folder of its floor, an import, or the list."""
    tests = modules("tests")
    files = {(path.parent.name, path.stem.removeprefix("test_")) for path in tests}
    imported = {name for path in tests for name in imports(path)}
    missing = []
    for path in modules("src"):
        public = any(not name.startswith("_") for _, name in defined(path))
        dotted_name = ".".join(path.relative_to(ROOT / "src").with_suffix("").parts)
        named = {path.stem, path.parent.name}
        known = any((folder_of_tests(path), name.strip("_")) in files for name in named)
        if public and not known and dotted_name not in imported and short(path) not in COVERED:
            missing.append(short(path))
    expect_none(missing)


def test_the_list_of_covered_modules_names_only_what_exists() -> None:
    gone = [n for pair in COVERED.items() for n in pair if not (ROOT / n).exists()]
    expect_none(gone)


def test_no_test_is_skipped_or_expected_to_fail() -> None:
    pattern = r"pytest\.(skip|importorskip|xfail)\(|mark\.(skip|skipif|xfail)\b"
    expect_none([hit for path in modules("tests") for hit in found(path, pattern)])


def test_nothing_is_mocked() -> None:
    mocked = [short(p) for p in modules("tests") if any("mock" in n.split(".") for n in imports(p))]
    expect_none(mocked)


def test_nothing_below_a_surface_is_patched() -> None:
    """A process's environment may be set; code may not be replaced."""
    pattern = r"monkeypatch\.(setattr|setitem|delattr)"
    expect_none([hit for path in modules("tests") for hit in found(path, pattern)])


def test_a_silenced_type_error_says_which_and_why() -> None:
    pattern = r"# type: ignore(?!\[[a-z, -]+\]\s+# \S)"
    hits = [hit for path in modules("src", "tests") for hit in found(path, pattern)]
    expect_none([hit for hit in hits if not hit.startswith("tests/docs/test_house_rules.py")])


# What must not be in the repository at all; the patterns come in pieces, not to find themselves.

PLACES = {
    "a package registry": r"py" + r"pi\.org|python" + r"hosted|npm" + r"js\.(org|com)",
    "a path of some machine": r"(?<![\w.])/(work|root|home/\w+)" + r"/|\.\./" + r"shared",
}
SECRETS = {
    "a private key": r"BEGIN (RSA |EC |OPENSSH |ENCRYPTED )?PRIVATE " + r"KEY",
    "a live payment key": r"[sr]k_" + r"live_\w+",
    "a cloud key": r"\bAKIA" + r"[0-9A-Z]{16}\b",
    "a host's token": r"\bgh[pousr]_" + r"\w{30,}",
}


@pytest.mark.parametrize("what", PLACES)
def test_no_file_names_a_place_outside(what: str) -> None:
    expect_none([hit for path in tracked() for hit in found(path, PLACES[what])])


@pytest.mark.parametrize("what", SECRETS)
def test_no_file_holds_a_secret(what: str) -> None:
    """Keys in tests come from published vectors or are made in the test."""
    expect_none([hit for path in tracked() for hit in found(path, SECRETS[what])])


def test_nothing_is_left_to_do() -> None:
    pattern = r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b"
    expect_none([hit for path in modules("src", "tests", "tools") for hit in found(path, pattern)])
