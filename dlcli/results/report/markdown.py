"""A report as Markdown: tables and words, short enough for a comment on a pull request."""

from __future__ import annotations

from dlcli.results.report import sentences
from dlcli.results.report.escaping import code, escaped, fenced, table
from dlcli.results.report.gather import Report
from dlcli.results.report.sentences import number, share

# Rows of the tables; GitHub takes comments of 65,536 characters.
_MOST_CLASSES, _MOST_PAIRS, _MOST_MISTAKES, _MOST_SETTINGS = 12, 5, 5, 20
# Characters of a name and of an item.
_NAME, _ITEM = 60, 160
SCORES = {
    "accuracy": "accuracy",
    "f1_macro": "macro F1",
    "auc": "AUC",
    "log_loss": "log loss",
    "ece": "calibration error",
}


def markdown(report: Report) -> str:
    """Return the report, with a new line at its end."""
    parts = [
        f"## Report on {name(report.run.resolve().name)}",
        escaped(" ".join(filter(None, [sentences.headline(report), sentences.verdict(report)]))),
        f"Judged on {escaped(report.data.source)}; {escaped(sentences.items_of_training(report))}.",
        score_table(report),
        "\n".join(
            f"- {escaped(line)}"
            for line in [*sentences.findings(report), *sentences.cautions(report), *report.data.problems]
        ),
        class_table(report),
    ]
    if report.confused:
        rows = [
            (name(report.record.labels[true]), f"{count:,}", name(report.record.labels[taken]))
            for count, true, taken in report.confused[:_MOST_PAIRS]
        ]
        parts.append(table(("most confused", "items", "taken for"), rows))
    if report.answered.mistakes:
        parts.append(f"<details><summary>The surest wrong answers</summary>\n\n{_mistakes(report)}\n\n</details>")
    if report.settings.changed:
        rows_of_settings = [
            (name(setting.replace("_", "-")), name(str(value)))
            for setting, value in list(report.settings.changed.items())[:_MOST_SETTINGS]
        ]
        parts.append(table(("changed setting", "value"), rows_of_settings, numbers=False))
    parts.append(fenced("\n".join(filter(None, [sentences.command(report), sentences.again(report)]))))
    return "\n\n".join(part for part in parts if part) + "\n"


def name(text: str, longest: int = _NAME) -> str:
    """Return a name that comes from data, cut where it is long."""
    return code(text if len(text) <= longest else f"{text[: longest - 1]}…")


def score_table(report: Report) -> str:
    """Return the scores with their intervals, beside those of the baselines."""
    rows = [
        (
            title,
            f"**{number(score.value)}**",
            "" if score.low is None else f"{number(score.low)} to {number(score.high)}",
            *(number(baseline["metrics"][key]["value"]) for baseline in report.baselines),
        )
        for key, title in SCORES.items()
        if (score := report.judged.scores[key]).value is not None
    ]
    return table(("score", "this run", "95 % interval", *(b["title"] for b in report.baselines)), rows)


def class_table(report: Report) -> str:
    """Return the scores of the classes; of many, of those with the lowest F1."""
    classes = report.judged.classes
    note = ""
    if len(classes) > _MOST_CLASSES:
        note = f"\n\nOf {len(classes):,} classes those with the lowest F1."
        classes = sorted((c for c in classes if c["n"]), key=lambda c: float(c["f1"]))[:_MOST_CLASSES]
    rows = [
        (
            name(c["label"]),
            number(c["precision"]),
            number(c["recall"]),
            number(c["f1"]),
            " to ".join(map(number, c["f1_interval"] or ())),
            f"{c['n']:,}",
        )
        for c in classes
    ]
    return table(("class", "precision", "recall", "F1", "95 % interval", "items"), rows) + note


def _mistakes(report: Report) -> str:
    labels, probabilistic = report.record.labels, report.record.probabilistic
    rows = [
        (
            name(report.name_of(mistake.item), _ITEM),
            name(labels[mistake.label]),
            name(labels[mistake.predicted]),
            share(mistake.sureness) if probabilistic else f"{mistake.sureness:.2f}",
        )
        for mistake in report.answered.mistakes[:_MOST_MISTAKES]
    ]
    return table(("item", "is", "taken for", "probability" if probabilistic else "margin"), rows, numbers=False)
