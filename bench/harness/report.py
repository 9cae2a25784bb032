"""The report: one Markdown table of what is wanted and reached, one of the figures behind it."""
import statistics
import subprocess
import time

from . import machine
from .rows import ROWS
from .setup import ROOT, version

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"


def render(bench, results, options):
    """The whole report. `results` are the lines of each row, by number."""
    judged = [line for lines in results.values() for line in lines if line.reached is not None]
    missed = sum(1 for line in judged if not line.reached)
    parts = [
        heading(bench, options),
        f"{len(judged) - missed} of {len(judged)} targets reached.",
        targets(results),
        figures(bench.raw),
    ]
    if bench.notes:
        parts.append("\n".join(f"- {note}" for note in bench.notes))
    return "\n\n".join(part for part in parts if part)


def heading(bench, options):
    """Where, when and with what."""
    commit = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"], capture_output=True, text=True)
    versions = [version(program, path) for program, path in bench.programs.items()]
    counters = "" if bench.counters else "; no hardware counters"
    return (
        f"`bench/run` on {time.strftime('%Y-%m-%d')}, revision {commit.stdout.strip() or 'unknown'}: "
        f"{machine.describe()}{counters}; {', '.join(filter(None, versions)) or 'no peers'}. "
        f"{options.rounds} interleaved rounds of {options.seconds:g} s; medians of ratios taken inside a round (quartiles)."
    )


def targets(results):
    """What is wanted and what is reached."""
    rows = ["| # | what | measured | wanted | reached |", "|---|---|---|---|---|"]
    for number, lines in results.items():
        rows.append(f"| {number} | **{ROWS[number].__doc__}** | | | |")
        rows += [f"| | {line.what} | {measured(line)} | {wanted(line)} | {verdict(line)} |" for line in lines]
    return "\n".join(rows)


def measured(line):
    """The median, its quartiles where there are enough, and what else there is to say."""
    if line.value is None:
        return f"– ({line.note})" if line.note else "–"
    text = number(line.value, line.unit)
    if len(line.values) >= 4:
        low, _, high = statistics.quantiles(line.values, n=4)
        text += f" ({number(low, '')} to {number(high, '')})"
    return f"{text}{line.unit}; {line.note}" if line.note else f"{text}{line.unit}"


def number(value, unit):
    """Ratios with two digits, quantities as their size asks."""
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"


def wanted(line):
    """The bound in words."""
    return f"{line.wanted[0]} {line.wanted[1]:g}{line.unit}" if line.wanted else ""


def verdict(line):
    """Yes, by how much not, or nothing to say."""
    if line.wanted is None:
        return ""
    if line.reached is None:
        return "not judged"
    return "yes" if line.reached else f"**no**, off by {abs(line.value / line.wanted[1] - 1) * 100:.0f} %"


def figures(raw):
    """Medians of what the ratios were made of."""
    rows = [
        "| measurement | proxy | requests/s | CPU µs a request | in user mode | thousand instructions | p50 µs | p99 µs |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for title, samples in raw.items():
        if not isinstance(samples, dict) or not all(isinstance(each, list) for each in samples.values()):
            continue
        for name, taken in samples.items():
            if taken and isinstance(taken[0], dict):
                keys = ("rate", "cpu_us", "user_us", "kinstructions", "p50_us", "p99_us")
                rows.append(f"| {title} | {name} | " + " | ".join(median(taken, key) for key in keys) + " |")
    return "\n".join(rows) if len(rows) > 2 else ""


def median(samples, key):
    """The median of one figure, or a dash."""
    values = [sample[key] for sample in samples if key in sample]
    if not values:
        return "–"
    value = statistics.median(values)
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def into_document(text):
    """Puts the report between the marks of docs/performance.md."""
    path = ROOT / "docs/performance.md"
    before, _, rest = path.read_text().partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise SystemExit(f"{path} lacks the marks {BEGIN} and {END}")
    path.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")
