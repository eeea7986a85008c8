"""Learn the appraisal's weights from sales: python tools/fit_appraisal.py SALES.csv LEXICON

The table has the columns `handle` and `paid_eth`; only weights are written, never a row. Prices
are log-normal and cut off at the auction's least price (a Tobit model, fitted by expectation and
maximisation); each weight is drawn to its prior in core/data/appraisal-priors.toml.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import tomllib
from collections import Counter
from pathlib import Path

import numpy as np

from onym.core import appraisal, reading
from onym.core.lexicon import Lexicon
from onym.sweep import lexicon

DATA = Path(appraisal.__file__).parent / "data"
LEAST_ETH = 0.01
FOLDS, ROUNDS = 5, 60
PART_ROWS, PART_STRENGTH, PART_LEAST = 15, 30.0, 0.15
"""A word is learned when at least this many phrases hold it; its pull to zero; what is kept."""

erf = np.vectorize(math.erf)


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("sales", type=Path)
    ask.add_argument("lexicon", type=Path)
    ask.add_argument("--dry-run", action="store_true")
    given = ask.parse_args()
    words = lexicon.ensure(given.lexicon)
    handles, logs = sales(given.sales)
    reads = [reading.read(handle, lexicon=words) for handle in handles]
    rows = [row(read, words) for read in reads]
    names, means, strengths = priors(rows)
    table = matrix(rows, names)
    censored = logs <= math.log(LEAST_ETH) + 1e-9
    held_out = cross(table, logs, censored, means, strengths)
    weights, sigma = tobit(table, logs, censored, means, strengths)
    upper = held_out > np.median(held_out)  # in the lower half the least price hides the error
    low, high = np.quantile((logs - held_out)[upper], (0.1, 0.9))
    report(handles, reads, logs, held_out, sigma, (low, high))
    if not given.dry_run:
        save(names, weights, low, high, len(logs), spearman(held_out, logs))


def sales(path: Path) -> tuple[list[str], np.ndarray]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    paid = [max(float(row["paid_eth"]), LEAST_ETH) for row in rows]
    return [row["handle"] for row in rows], np.log(paid)


def row(read: reading.Reading, words: Lexicon) -> dict[str, float]:
    """Features by name, several of one name added; the parts of a phrase as features, too."""
    found: dict[str, float] = {}
    for factor, feature, value in appraisal.features(
        read, lexicon=words, trades=appraisal.built_in_trades()
    ):
        name = "word" if factor.startswith("word_") else factor
        found[f"{name}.{feature}"] = found.get(f"{name}.{feature}", 0.0) + value
    if read.kind in ("phrase", "full_name"):
        found.update((f"part {part}", 1.0) for part in read.parts)
    return found


def priors(rows: list[dict[str, float]]) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Feature names with the mean and the strength of each one's prior; `level` has none."""
    given = tomllib.loads((DATA / "appraisal-priors.toml").read_text("utf-8"))
    seen = Counter(name for row in rows for name, value in row.items() if value)
    names, means, strengths = ["level"], [0.0], [1e-6]
    for factor, table in given.items():
        if isinstance(table, dict) and factor != "strengths":
            for feature, mean in table.items():
                names.append(f"{factor}.{feature}")
                means.append(mean)
                fallback = given["strengths"].get(factor, given["strength"])
                strengths.append(given["strengths"].get(names[-1], fallback))
    known = set(names)
    for name in sorted(seen):
        if name.startswith("part ") and seen[name] >= PART_ROWS:
            names.append(name)
            means.append(0.0)
            strengths.append(PART_STRENGTH)
        elif not name.startswith("part ") and name not in known and not name.endswith("_0"):
            raise SystemExit(f"{name} has no prior")
    return names, np.array(means), np.array(strengths)


def matrix(rows: list[dict[str, float]], names: list[str]) -> np.ndarray:
    place = {name: i for i, name in enumerate(names)}
    table = np.zeros((len(rows), len(names)))
    table[:, 0] = 1.0
    for i, row in enumerate(rows):
        for name, value in row.items():
            if name in place:
                table[i, place[name]] = value
    return table


def tobit(
    table: np.ndarray,
    logs: np.ndarray,
    censored: np.ndarray,
    means: np.ndarray,
    strengths: np.ndarray,
) -> tuple[np.ndarray, float]:
    """Weights and the error's standard deviation (Tobin 1958; EM as in Amemiya 1984)."""
    sigma, filled = 1.5, logs.copy()
    left = table.T @ table + np.diag(strengths)
    weights = np.linalg.solve(left, table.T @ filled + strengths * means)
    for _ in range(ROUNDS):
        expected = table @ weights
        z = (logs - expected) / sigma
        below = np.clip(0.5 * (1 + erf(z / math.sqrt(2))), 1e-9, 1)
        ratio = np.exp(-z * z / 2) / math.sqrt(2 * math.pi) / below
        filled = np.where(censored, expected - sigma * ratio, logs)
        spare = np.where(censored, sigma**2 * (1 - z * ratio - ratio**2), 0)
        weights = np.linalg.solve(left, table.T @ filled + strengths * means)
        sigma = math.sqrt(float(np.mean((filled - table @ weights) ** 2 + spare)))
    return weights, sigma


def cross(
    table: np.ndarray,
    logs: np.ndarray,
    censored: np.ndarray,
    means: np.ndarray,
    strengths: np.ndarray,
) -> np.ndarray:
    """Each row's prediction by a model that has not seen it."""
    order = np.random.default_rng(0).permutation(len(logs))
    out = np.zeros(len(logs))
    for fold in range(FOLDS):
        held = order[fold::FOLDS]
        rest = np.setdiff1d(order, held)
        weights, _ = tobit(table[rest], logs[rest], censored[rest], means, strengths)
        out[held] = table[held] @ weights
    return out


def ranks(values: np.ndarray) -> np.ndarray:
    """Ranks, ties sharing their middle."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    middle: np.ndarray = (np.cumsum(count) - (count - 1) / 2)[place]
    return middle


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(ranks(a), ranks(b))[0, 1])


def report(
    handles: list[str],
    reads: list[reading.Reading],
    logs: np.ndarray,
    held_out: np.ndarray,
    sigma: float,
    error: tuple[float, float],
) -> None:
    """The rank correlation on rows held out, beside two baselines, with 95 % intervals."""
    by_length = np.array([-len(handle) for handle in handles], float)
    whole = [read.word.english if read.word and read.whole else 0.0 for read in reads]
    judged = {"model": held_out, "frequency only": np.array(whole), "length only": by_length}
    for name, guess in judged.items():
        low, high = interval(guess, logs)
        print(f"{name:15} Spearman {spearman(guess, logs):.3f} (95 %: {low:.3f} to {high:.3f})")
    print(f"sigma {sigma:.2f}; error quantiles ×{math.exp(error[0]):.3f} ×{math.exp(error[1]):.1f}")


def interval(guess: np.ndarray, logs: np.ndarray) -> tuple[float, float]:
    """The bootstrap's 2.5 % and 97.5 % quantiles, 200 draws."""
    draw = np.random.default_rng(1)
    found = []
    for _ in range(200):
        picked = draw.integers(0, len(logs), len(logs))
        found.append(spearman(guess[picked], logs[picked]))
    low, high = np.quantile(found, (0.025, 0.975))
    return float(low), float(high)


def save(
    names: list[str], weights: np.ndarray, low: float, high: float, rows: int, rho: float
) -> None:
    pairs = [(name, round(float(w), 3)) for name, w in zip(names, weights, strict=True)]
    parts = {n[5:]: w for n, w in pairs if n.startswith("part ") and abs(w) >= PART_LEAST}
    others = {n: w for n, w in pairs if n != "level" and not n.startswith("part ")}
    model = {
        "version": 1,
        "learned_from": {"rows": rows, "held_out_spearman": round(rho, 3)},
        "low_steps": round((math.exp(low) - 1) * 10_000),
        "high_steps": round((math.exp(high) - 1) * 10_000),
        "weights": others,
        "parts": dict(sorted(parts.items())),
    }
    text = json.dumps(model, indent=1, ensure_ascii=False) + "\n"
    (DATA / "appraisal-model.json").write_text(text, "utf-8")


if __name__ == "__main__":
    main()
