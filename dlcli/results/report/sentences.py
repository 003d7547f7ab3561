"""What a report says in sentences: the headline, the verdict, what stands out, and how to train the run again."""

from __future__ import annotations

import shlex

from dlcli.core.panels import shorten
from dlcli.results import words
from dlcli.results.report.gather import Report

# A gap between confidence and accuracy that a reader need not care about.
_SMALL_GAP = 0.02


def share(value: float | None) -> str:
    """Return a share in per cent; `-` where there is none."""
    return "-" if value is None else f"{100 * value:.1f} %"


def number(value: float | None) -> str:
    """Return a score as `evaluate` shows it; `-` where there is none."""
    return "-" if value is None else f"{value:.4f}"


def kind(report: Report) -> str:
    """Return what the run is, such as `a text classifier`."""
    return "a picture classifier" if report.record.domain == "vision" else "a text classifier"


def headline(report: Report) -> str:
    """Say how many items the run has right, with the interval."""
    accuracy = report.judged.scores["accuracy"]
    ends = "" if accuracy.low is None else f" (95 % interval: {share(accuracy.low)} to {share(accuracy.high)})"
    return f"It classifies {share(accuracy.value)} of {report.n:,} {report.things} correctly{ends}."


def verdict(report: Report) -> str:
    """Say whether the run is better than the best baseline; empty where there is none."""
    if report.verdict is None:
        return ""
    text = str(report.verdict["text"])
    return f"{text[0].upper()}{text[1:]}."


def is_better(report: Report) -> bool | None:
    """Say whether the run is better than the best baseline; None where nobody can tell."""
    if report.verdict is None or not report.verdict["significant"]:
        return None
    return bool(report.verdict["difference"] > 0)


def findings(report: Report) -> list[str]:
    """Return what stands out in the scores, a sentence each."""
    found, names = [], [repr(shorten(name)) for name in report.record.labels]
    classes = [(float(c["f1"]), name) for c, name in zip(report.judged.classes, names, strict=True) if c["n"]]
    if len(classes) > 1:
        (low, worst), (high, best) = min(classes), max(classes)
        found.append(f"The hardest class is {worst} (F1 {number(low)}), the easiest {best} (F1 {number(high)}).")
    if report.confused:
        count, true, taken = report.confused[0]
        items = report.judged.classes[true]["n"]
        found.append(
            f"The most frequent mistake is to take {names[true]} for {names[taken]}: {count:,} times, "
            f"{share(count / items)} of the class."
        )
    if text := calibrated(report):
        found.append(text)
    if report.record.problem:
        found.append(f"The training ended before its time: {report.record.problem}.")
    return found


def calibrated(report: Report) -> str:
    """Say how far the run's probabilities can be trusted; empty for scores."""
    bins = report.judged.calibration
    if not bins:
        return ""
    gap = sum(b["n"] * (b["confidence"] - b["accuracy"]) for b in bins) / sum(b["n"] for b in bins)
    ece = number(report.judged.scores["ece"].value)
    if abs(gap) < _SMALL_GAP:
        return f"On average its confidence fits how often it is right (expected calibration error {ece})."
    kind = "too sure" if gap > 0 else "not sure enough"
    points = f"{100 * abs(gap):.1f} points"
    return f"On average it is {kind}, by {points} of probability (expected calibration error {ece})."


def cautions(report: Report) -> list[str]:
    """Return what keeps the scores from telling much, a sentence each."""
    scores = {name: score.as_json() for name, score in report.judged.scores.items()}
    lines = [*words.cautions(scores, report.judged.classes, report.n), *report.notes]
    return [f"{line[0].upper()}{line[1:]}." for line in lines]


def command(report: Report) -> str:
    """Return the command line that made the run; empty where nobody noted it."""
    argv = report.record.argv
    # A test or a program that calls the verb has an argv of its own.
    return shlex.join(["dlcli", *argv]) if argv[:1] in ([report.record.verb], ["run"]) else ""


def again(report: Report) -> str:
    """Return the commands that train the run again, and that make a script of it; empty where it had no training."""
    if not report.record.resumable:
        return ""
    run = shlex.quote(str(report.run))
    return f"dlcli reproduce {run}\ndlcli eject {run} train.py"


def members(report: Report) -> list[tuple[str, str]]:
    """Return the weights of an ensemble's members, and the members."""
    config = report.record.config
    return [
        (f"{weight:.2f}", str(member))
        for member, weight in zip(config.get("members", ()), config.get("weights", ()), strict=False)
    ]


def items_of_training(report: Report) -> str:
    """Say how many items trained and validated the run."""
    data = report.record.data
    return f"{data.get('training', 0):,} items to train on and {data.get('validation', 0):,} to validate on"


def environment(report: Report) -> list[tuple[str, str]]:
    """Return what the run was trained with: names and values."""
    machine, model = report.record.machine, report.record.model
    processor = machine.get("processor", {})
    versions = ", ".join(f"{name} {version}" for name, version in machine.get("versions", {}).items())
    rows = [
        ("trained", report.record.finished.replace("T", " ")),
        ("took", f"{report.record.seconds:,.1f} s"),
        ("device", f"{report.record.device}, {model.get('precision', '')}"),
        ("processor", f"{processor.get('name', '')}, {machine.get('threads', '')} threads"),
        ("versions", versions),
        ("data fingerprint", str(report.record.data.get("fingerprint", ""))),
        ("model.keras SHA-256", report.record.hashes.get("model.keras", "")),
    ]
    return [(name, value) for name, value in rows if value]
