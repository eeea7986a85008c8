"""`make lighthouse`: home, search, handle and checkout under Lighthouse; docs/benchmarks/pages.md.

Two looks, three times each, at a telephone: Lighthouse's own (four categories, a slow network
simulated), and one on a processor four times slower with the network as it is (paint and shift).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path
from statistics import median
from typing import Any

import market

HERE = Path(__file__).resolve().parent
INSTALLED = HERE.parents[1] / "build" / "lighthouse"
ROUNDS = 3
TRIES = 3
"""Now and then a trace of Chromium's misses its own beginning; that says nothing of the page."""
CHROMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
PAGES = {"home": "", "search": "search?q=moo", "handle": f"@{market.HANDLE}"}
WHOLE = {"accessibility": 100, "best-practices": 100, "seo": 100}
PERFORMANCE, PAINT_MS, SHIFT = 95, 1_200, 0
SLOWED = [
    "--only-categories=performance",
    "--throttling-method=devtools",
    "--throttling.cpuSlowdownMultiplier=4",
    "--throttling.requestLatencyMs=0",
    "--throttling.downloadThroughputKbps=0",
    "--throttling.uploadThroughputKbps=0",
]


def main() -> None:
    """Prints a row a page; exit 1 when one is below the goals."""
    asked = _asked()
    lighthouse = Lighthouse(installed())
    told = json.loads(asked.demo.read_text()) if asked.demo else None
    with nullcontext(told) if told else market.demo() as site, market.listed(site) as listing:
        root = f"{site['base']}/{asked.lang}"
        rows = {name: row(lighthouse, f"{root}/{path}", "") for name, path in PAGES.items()}
        with market.bought(site, listing) as sale:
            buyer = market.cookie(site["base"], "buyer")
            rows["checkout"] = row(lighthouse, f"{root}/sales/{sale}", buyer)
    print(json.dumps(rows) if asked.json else table(rows))
    sys.exit(any(one["below"] for one in rows.values()))


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--demo", type=Path, help="demo.json of a running demo; else one is begun")
    parser.add_argument("--lang", default="en", choices=("en", "fr", "ar"))
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    return parser.parse_args()


def installed() -> Path:
    """Lighthouse as the lock file has it, below build/."""
    wanted = (HERE / "package-lock.json").read_text()
    mark = INSTALLED / "installed"
    if not mark.exists() or mark.read_text() != wanted:
        INSTALLED.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, INSTALLED / name)
        npm = shutil.which("npm") or sys.exit(
            "npm is missing: Lighthouse needs Node 18.20 or newer"
        )
        subprocess.run(  # noqa: S603 - our own arguments
            [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"],
            cwd=INSTALLED,
            check=True,
        )
        mark.write_text(wanted)
    return INSTALLED / "node_modules" / ".bin" / "lighthouse"


class Lighthouse:
    """One look at one page, as the report that Lighthouse writes."""

    def __init__(self, program: Path) -> None:
        chrome = os.environ.get("CHROME_PATH") or next(filter(None, map(shutil.which, CHROMES)), "")
        if not chrome:
            sys.exit("no Chromium is found: install it, or say CHROME_PATH=…")
        self._program = program
        self._environment = os.environ | {"CHROME_PATH": chrome}

    def look(self, address: str, cookie: str, options: list[str]) -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as folder:
            report, headers = Path(folder) / "report.json", Path(folder) / "headers.json"
            headers.write_text(json.dumps({"Cookie": cookie} if cookie else {}))
            command = [str(self._program), address, "--quiet", "--output=json"]
            command += [f"--output-path={report}", f"--extra-headers={headers}", *options]
            command += ["--chrome-flags=--headless=new --no-sandbox"]
            for _ in range(TRIES):
                if not subprocess.run(command, env=self._environment, check=False).returncode:  # noqa: S603
                    break
            else:
                sys.exit(f"{address}: Lighthouse failed {TRIES} times")
            found: dict[str, Any] = json.loads(report.read_text())
        if found.get("runtimeError"):
            sys.exit(f"{address}: {found['runtimeError']['message']}")
        if found["finalDisplayedUrl"] != address:
            sys.exit(f"{address} led to {found['finalDisplayedUrl']}")
        return found


def row(lighthouse: Lighthouse, address: str, cookie: str) -> dict[str, Any]:
    """A page's figures: the lowest score of each category, medians for performance and paint."""
    plain = [lighthouse.look(address, cookie, []) for _ in range(ROUNDS)]
    slowed = [lighthouse.look(address, cookie, SLOWED) for _ in range(ROUNDS)]
    found: dict[str, Any] = {
        name: min(round(100 * one["categories"][name]["score"]) for one in plain) for name in WHOLE
    }
    scores = [100 * one["categories"]["performance"]["score"] for one in plain]
    found["performance"] = round(median(scores))
    found["lcp_ms"] = round(median(_figure(one, "largest-contentful-paint") for one in slowed))
    found["cls"] = max(_figure(one, "cumulative-layout-shift") for one in (*plain, *slowed))
    found["failed"] = sorted({name for one in plain for name in failed(one)})
    found["below"] = below(found)
    return found


def _figure(report: dict[str, Any], audit: str) -> float:
    return float(report["audits"][audit]["numericValue"])


def failed(report: dict[str, Any]) -> list[str]:
    """The audits that cost a category of `WHOLE` its hundred."""
    return [
        part["id"]
        for name in WHOLE
        for part in report["categories"][name]["auditRefs"]
        if part["weight"] and report["audits"][part["id"]]["score"] not in (None, 1)
    ]


def below(found: dict[str, Any]) -> list[str]:
    """Which goals a page misses."""
    missed = [name for name, goal in WHOLE.items() if found[name] < goal]
    missed += ["performance"] if found["performance"] < PERFORMANCE else []
    missed += ["lcp_ms"] if found["lcp_ms"] > PAINT_MS else []
    return missed + (["cls"] if found["cls"] > SHIFT else [])


def table(rows: dict[str, dict[str, Any]]) -> str:
    """The same for people, as Markdown."""
    columns = [*WHOLE, "performance", "lcp_ms", "cls"]
    lines = [["page", *columns, "below"], ["---"] * (len(columns) + 2)]
    for name, found in rows.items():
        said = ", ".join([*found["below"], *found["failed"]]) or "–"
        lines.append([name, *(f"{found[column]:g}" for column in columns), said])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    main()
