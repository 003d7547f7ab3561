"""`dlcli report`: what a run knows and what it gets wrong, as a page, as Markdown or as a model card."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, ValidationError, model_validator

from dlcli.core.config import option
from dlcli.core.progress import Progress
from dlcli.errors import DlcliError
from dlcli.resources import resolve_input
from dlcli.verbs import Action
from dlcli.verbs.shared.judging import IntervalConfig
from dlcli.verbs.shared.recorded import action_of
from dlcli.verbs.shared.result import Result, facts
from dlcli.verbs.shared.trained_data import TrainedLabelledConfig

if TYPE_CHECKING:
    from dlcli.core.record import RunRecord
    from dlcli.results.report.gather import Report

_NAMES = {"html": "report.html", "markdown": "report.md", "model-card": "model-card.md"}
# Of an explained text: a page has ten of them.
_MOST_CHARACTERS = 4000


class ReportConfig(IntervalConfig, TrainedLabelledConfig):
    """All settings of a report."""

    section = "Data"

    run: Path = option(..., "A finished run.", argument=True, metavar="RUN")
    data: Path | None = option(
        None,
        "Labelled data to judge it on, as evaluate takes it; without it the run's validation items.",
        argument=True,
        metavar="DATA",
    )
    format: Literal["html", "markdown", "model-card"] = option(
        "html", "One page that needs no network; Markdown for a pull request; a model card for a hub."
    )
    out: Path | None = option(
        None,
        "Where to write it; without it report.html, report.md or model-card.md in the run, replaced.",
        metavar="FILE",
    )
    open: bool = option(False, "Show the page in the browser.")
    force: bool = option(False, "Replace the file at --out.")

    @model_validator(mode="after")
    def _page_to_open(self) -> ReportConfig:
        if self.open and self.format != "html":
            raise ValueError(f"--open shows a page, and --format is {self.format}")
        return self


class ReportResult(Result):
    """Where the report is, and the scores in it."""

    run: Path
    data: Path | None
    report: Path
    format: str
    bytes: int
    n: int
    accuracy: float
    metrics: dict[str, dict[str, Any]]
    baselines: list[dict[str, Any]] = Field(default_factory=list)
    verdict: dict[str, Any] | None = None
    classes: list[dict[str, Any]]
    confusion: list[list[int]]
    mistakes: list[dict[str, Any]]
    notes: list[str] = Field(default_factory=list)

    def text(self) -> str:
        """Return where it is and what it says first."""
        return facts(
            [
                ("report", f"{self.report} ({self.bytes / 1000:,.0f} kB)"),
                ("items", f"{self.n:,}"),
                ("accuracy", f"{self.accuracy:.4f}"),
                ("verdict", str(self.verdict["text"]) if self.verdict else ""),
            ]
        )


def report(config: ReportConfig, progress: Progress) -> ReportResult:
    """Judge a run and write a report on it.

    Args:
        config: the settings.
        progress: told of stages.
    """
    from dlcli.core.files import require_free_file, write_text
    from dlcli.core.lines import Skipped
    from dlcli.core.record import open_finished

    record = open_finished(config.run)
    path = config.out or config.run / _NAMES[config.format]
    # Its own place in the run is the report's.
    force = config.force or config.out is None
    require_free_file(path, option="--out", endings={Path(_NAMES[config.format]).suffix}, force=force)
    config.require_fitting(record)
    stream, skipped = None, Skipped()
    if config.data is not None:
        from dlcli.results.answers import LabelledStream

        data = resolve_input(config.data)
        progress.begin(f"reading {data}")
        items, skipped = config.labelled(record, data, progress)
        stream = LabelledStream(items, data, record.labels)

    from dlcli.results.report.gather import gather

    found, answerer = gather(
        config.run,
        record,
        stream=stream,
        skipped=skipped,
        defaults=_defaults(record, config.run),
        resamples=config.bootstrap,
        seed=config.seed,
        progress=progress,
    )
    for note in found.notes if stream else []:
        progress.warn(note)
    content = _content(found, answerer, config, progress)
    write_text(path, content)
    if config.open:
        import webbrowser

        if not webbrowser.open(path.resolve().as_uri()):
            progress.warn(f"no browser could be started: open {path} yourself")
    return ReportResult(
        run=config.run,
        data=config.data,
        report=path,
        format=config.format,
        bytes=len(content.encode()),
        n=found.n,
        accuracy=found.judged.scores["accuracy"].value,
        metrics={name: score.as_json() for name, score in found.judged.scores.items()},
        baselines=found.baselines,
        verdict=found.verdict,
        classes=found.judged.classes,
        confusion=found.judged.confusion.tolist(),
        mistakes=[
            {
                "item": mistake.item,
                "label": record.labels[mistake.label],
                "predicted": record.labels[mistake.predicted],
                "probability" if record.probabilistic else "margin": mistake.sureness,
            }
            for mistake in found.answered.mistakes
        ],
        notes=found.notes,
    )


def _content(found: Report, answerer: Any, config: ReportConfig, progress: Progress) -> str:
    """Return the report in its format."""
    if config.format == "markdown":
        from dlcli.results.report.markdown import markdown

        return markdown(found)
    if config.format == "model-card":
        from dlcli.results.report.model_card import model_card

        return model_card(found)
    from dlcli.results.report.page import page

    explanations, note = _explanations(found, answerer, progress)
    progress.begin("drawing the page")
    return page(found, explanations, note=note)


def _explanations(found: Report, answerer: Any, progress: Progress) -> tuple[Sequence[Any], str]:
    """Return why the run gave its surest wrong answers, as HTML; or nothing, and why not."""
    from dlcli.results.explain import explainer, fragment

    items = [mistake.item for mistake in found.answered.mistakes]
    if not items:
        return [], ""
    progress.begin("explaining the surest wrong answers")
    try:
        explained = explainer(answerer.predictor)(items, None)
    except DlcliError as error:
        return [], f"They are not explained: {error.message}."
    return [fragment(one, longest=_MOST_CHARACTERS) for one in explained], ""


def _defaults(record: RunRecord, path: Path) -> dict[str, Any]:
    """Return the settings that a run's verb takes by itself for its model and its number of items."""
    config = action_of(record, path).config
    chosen = {name: record.config[name] for name in ("data", "model", "base", "runs") if record.config.get(name)}
    try:
        made = config.model_validate(chosen)
    except ValidationError:
        return {}
    if hasattr(made, "resolved"):
        made = made.resolved(items=record.data.get("training"))
    settings: dict[str, Any] = made.model_dump(mode="json")
    return {name: value for name, value in settings.items() if name not in ("data", "model", "base")} | {
        name: type(made).model_fields[name].default for name in ("model", "base") if name in settings
    }


ACTION = Action(
    config=ReportConfig,
    function=report,
    examples=(
        "dlcli report runs/reviews --open",
        "dlcli report runs/reviews sample_data/reviews-test.csv",
        "dlcli report runs/reviews --format markdown --out report.md",
    ),
)
