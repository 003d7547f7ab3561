"""A report as a model card (Mitchell et al. 2019, "Model Cards for Model Reporting"), with the head of Hugging Face's.

What nobody told dlcli is marked as missing, for the person who publishes the model to write; nothing is made up.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from dlcli.errors import printable
from dlcli.results.report import sentences
from dlcli.results.report.escaping import escaped, fenced, table
from dlcli.results.report.gather import Report
from dlcli.results.report.markdown import SCORES, class_table, name, score_table

_MISSING = "*Not stated: to be written by who publishes the model.*"
_MOST_CLASSES = 40
_MOST_SETTINGS = 40
_TASKS = {"text": "text-classification", "vision": "image-classification"}


def model_card(report: Report) -> str:
    """Return the card, with a new line at its end."""
    title = report.run.resolve().name
    sections = [
        ("Model details", _details(report)),
        ("Intended use", _MISSING),
        ("Out-of-scope use", _MISSING),
        ("Limitations", _limitations(report)),
        ("Training data", _training_data(report)),
        ("Training", _training(report)),
        ("Evaluation", _evaluation(report)),
        ("How to use it", fenced(_use(report))),
        ("Environment", _environment_table(report)),
        ("Licence and contact", _MISSING),
    ]
    body = "\n\n".join(f"## {heading}\n\n{text}" for heading, text in sections)
    return f"---\n{_head(report)}---\n\n# {escaped(title)}\n\n{escaped(_lead(report))}\n\n{body}\n"


def _lead(report: Report) -> str:
    return f"{sentences.kind(report).capitalize()}, trained with dlcli. {sentences.headline(report)}"


def _head(report: Report) -> str:
    """Return the YAML head; strings are written as JSON, which YAML 1.2 holds."""
    results = [
        {"type": key, "name": title, "value": round(score.value, 6)}
        for key, title in SCORES.items()
        if (score := report.judged.scores[key]).value is not None
    ]
    task = _TASKS[report.record.domain]
    data = Path(report.data.source).name if not report.data.own else "validation part of the training data"
    index = [
        {
            "name": printable(report.run.resolve().name),
            "results": [
                {"task": {"type": task}, "dataset": {"name": printable(data), "type": "custom"}, "metrics": results}
            ],
        }
    ]
    head: dict[str, Any] = {
        "library_name": "keras",
        "pipeline_tag": task,
        "tags": ["dlcli", "keras", task],
        "model-index": index,
    }
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in head.items())


def _details(report: Report) -> str:
    model, labels = report.record.model, report.record.labels
    more = f" and {len(labels) - _MOST_CLASSES:,} more" if len(labels) > _MOST_CLASSES else ""
    lines = [
        f"- Model: {name(str(model.get('name', '')))}, {model.get('parameters', 0):,} parameters",
        f"- Input: {'a picture' if report.record.domain == 'vision' else 'a text'}",
        f"- Output: {escaped(str(model.get('outputs', 'probabilities')))} of {len(labels):,} classes: "
        + ", ".join(map(name, labels[:_MOST_CLASSES]))
        + more,
        f"- Trained: {escaped(report.record.finished)}",
        f"- `model.keras` SHA-256: {name(report.record.hashes.get('model.keras', ''), 64)}",
    ]
    return "\n".join(lines)


def _limitations(report: Report) -> str:
    lines = [*sentences.findings(report), *sentences.cautions(report)]
    known = "It knows only the classes above: whatever it is given, it answers with one of them."
    return "\n".join([f"- {known}", *(f"- {escaped(line)}" for line in lines), "", _MISSING])


def _training_data(report: Report) -> str:
    lines = [f"{escaped(sentences.items_of_training(report))}; where the data comes from: {_MISSING}"]
    if report.data.training is not None:
        rows = [
            (name(label), f"{count:,}")
            for label, count in zip(report.record.labels[:_MOST_CLASSES], report.data.training.tolist(), strict=False)
        ]
        lines.append(table(("class", "items"), rows))
    if report.data.problems:
        lines.append("\n".join(f"- {escaped(problem)}" for problem in report.data.problems))
    return "\n\n".join(lines)


def _training(report: Report) -> str:
    rows = [
        (name(setting.replace("_", "-")), name(str(value), 120))
        for setting, value in list(report.settings.changed.items())[:_MOST_SETTINGS]
    ]
    parts = [fenced(sentences.command(report))] if sentences.command(report) else []
    parts.append(
        table(("changed setting", "value"), rows, numbers=False) if rows else "All settings are dlcli's defaults."
    )
    return "\n\n".join(parts)


def _evaluation(report: Report) -> str:
    about = f"{escaped(sentences.headline(report))} Judged on {escaped(report.data.source)}."
    parts = [about, escaped(sentences.verdict(report)), score_table(report), class_table(report)]
    return "\n\n".join(filter(None, parts))


def _use(report: Report) -> str:
    run = shlex.quote(str(report.run))
    item = "photo.jpg" if report.record.domain == "vision" else '--text "..."'
    return "\n".join(filter(None, [f"dlcli predict {run} {item}", sentences.again(report)]))


def _environment_table(report: Report) -> str:
    rows = [row for row in sentences.environment(report) if row[0] != "model.keras SHA-256"]
    return table(("what", "value"), [(key, name(value, 200)) for key, value in rows], numbers=False)
