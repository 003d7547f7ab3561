"""`dlcli check`: what is wrong with data, before it is trained on; an exit code for CI."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from dlcli.core.config import option
from dlcli.core.findings import with_levels
from dlcli.core.progress import Progress
from dlcli.errors import DataError, UsageError
from dlcli.resources import resolve_input
from dlcli.text.config import TextDataConfig
from dlcli.verbs import Action
from dlcli.verbs.shared.check_report import class_table, counted, finding_lines, picture_table, text_table
from dlcli.verbs.shared.domains import domain_of_all
from dlcli.verbs.shared.result import Result
from dlcli.vision.config import ImageDataConfig

if TYPE_CHECKING:
    from dlcli.core.findings import Finding
    from dlcli.vision.checking.mentions import Mark

Allowed = Literal[
    "bad-columns",
    "bad-bytes",
    "nul-character",
    "bad-quotes",
    "bad-json",
    "bad-type",
    "empty-label",
    "blank-text",
    "empty-file",
    "not-a-picture",
    "unsupported",
    "bad-header",
    "damaged",
    "bomb",
    "missing-file",
    "unreadable-file",
    "unreadable-folder",
    "symlink-loop",
    "name-collision",
    "bad-name",
    "bad-archive",
    "bad-path",
    "bad-label",
    "empty-class",
    "conflicts",
    "leaks",
    "near-leaks",
    "augmented-leaks",
    "one-class",
    "small-classes",
    "unknown-classes",
]


class CheckConfig(TextDataConfig, ImageDataConfig):
    """All settings of a check."""

    section = "Data"

    data: tuple[Path, ...] = option(
        ...,
        "Texts: CSV, TSV or JSONL files, or folders with a folder of .txt files for each class. Pictures: folders with "
        "a folder of pictures for each class, tables of paths, .npz or IDX archives. The first is what is trained on "
        "(train/, val/ and test/ in a folder are data sets each).",
        argument=True,
        metavar="DATA...",
    )
    show: int = option(10, "Name this many rows or files of each finding; all are counted.", ge=0)
    exact: bool = option(
        False,
        "Texts are the same only when they are equal, not also when case, punctuation, HTML or space differ; pictures "
        "only when all their pixels are, not also when they are re-encoded, resized, mirrored or cropped a little.",
    )
    allow: tuple[Allowed, ...] = option(
        (),
        "Report this as a warning: without it bad rows and files, the same item with two labels or in two data sets, "
        "and classes that cannot be learned are errors (exit code 3). May be given several times.",
        metavar="FINDING",
    )
    contact_sheet: Path | None = option(
        None, "Draw the pictures that are named, by finding, into this .png.", metavar="FILE"
    )
    quarantine: Path | None = option(
        None,
        "Copy each bad or repeated picture into this folder, with a list of reasons; the data stays as it is.",
        metavar="DIR",
    )
    force: bool = option(False, "Replace the file at --contact-sheet and the folder at --quarantine.")


class CheckResult(Result):
    """The data sets, and what was found: errors first."""

    domain: str
    data: list[dict[str, Any]]
    errors: int
    warnings: int
    findings: list[dict[str, Any]] = Field(default_factory=list)
    contact_sheet: Path | None = Field(exclude_if=lambda value: value is None, default=None)
    quarantine: dict[str, Any] | None = Field(exclude_if=lambda value: value is None, default=None)

    def text(self) -> str:
        """Return what the data sets hold, and the findings with the rows or files that they name."""
        pictures = self.domain == "vision"
        parts = [picture_table(self.data) if pictures else text_table(self.data)]
        if any(one["classes"] for one in self.data):
            parts.append(class_table(self.data, rows="pictures" if pictures else "rows"))
        parts += [finding_lines(finding) for finding in self.findings]
        if self.contact_sheet:
            parts.append(f"contact sheet: {self.contact_sheet}")
        if self.quarantine:
            parts.append(
                f"quarantine: {counted(self.quarantine['files'], 'copy', 'copies')} in "
                f"{self.quarantine['path']}, reasons in {self.quarantine['list']}; the data is as it was"
            )
        parts.append(f"{counted(self.errors, 'error')}, {counted(self.warnings, 'warning')}")
        return "\n\n".join(parts)

    def check(self) -> None:
        """Raise when there are errors; names each kind."""
        if self.errors:
            names = dict.fromkeys(finding["name"] for finding in self.findings if finding["level"] == "error")
            raise DataError(
                f"{counted(self.errors, 'error')}: {', '.join(names)}", hint="Mend the data, or see --allow"
            )


def check(config: CheckConfig, progress: Progress) -> CheckResult:
    """Check data sets.

    Args:
        config: the settings.
        progress: told of stages, rows and pictures.

    Returns:
        what was found; `check` raises when an error is among it.
    """
    paths = [resolve_input(path) for path in config.data]
    domain = domain_of_all(
        paths, text_column=config.text_column, path_column=config.path_column, encoding=config.encoding
    )
    return _check_pictures(config, paths, progress) if domain == "vision" else _check_texts(config, paths, progress)


def _check_texts(config: CheckConfig, paths: Sequence[Path], progress: Progress) -> CheckResult:
    from dlcli.text.checking.check import check_texts

    for name in ("contact_sheet", "quarantine"):
        if getattr(config, name) is not None:
            raise UsageError(f"--{name.replace('_', '-')} is for pictures, and {paths[0]} holds texts")
    report = check_texts(paths, config.take(TextDataConfig), show=config.show, exact=config.exact, progress=progress)
    return _result("text", report.data, with_levels(report.findings, allowed=config.allow))


def _check_pictures(config: CheckConfig, paths: Sequence[Path], progress: Progress) -> CheckResult:
    from dlcli.core.files import require_free_file
    from dlcli.vision.checking import quarantine
    from dlcli.vision.checking.check import check_pictures

    if config.contact_sheet is not None:
        require_free_file(config.contact_sheet, option="--contact-sheet", endings=(".png",), force=config.force)
        for path in paths:
            if config.contact_sheet.resolve().is_relative_to(path.resolve()):
                what = f"--contact-sheet: {config.contact_sheet} lies in {path}: it would be taken for a picture of it"
                raise UsageError(what, hint="Put it elsewhere")
    if config.quarantine is not None:
        quarantine.require_usable(config.quarantine, paths, force=config.force)
    report = check_pictures(
        paths, config.take(ImageDataConfig), show=config.show, exact=config.exact, progress=progress
    )
    findings = with_levels(report.findings, allowed=config.allow)
    if config.contact_sheet is not None:
        _draw(config.contact_sheet, findings, paths, progress)
    moved = None
    if config.quarantine is not None:
        moved = _quarantine(config.quarantine, report.marks, paths, progress)
    for finding in findings:
        for item in finding.items:
            for row in item["rows"]:
                row.pop("item", None)  # It may be no UTF-8; `where` says it in letters.
    result = _result("vision", report.data, findings)
    return result.model_copy(update={"contact_sheet": config.contact_sheet, "quarantine": moved})


def _draw(path: Path, findings: Sequence[Finding], paths: Sequence[Path], progress: Progress) -> None:
    from dlcli.vision.checking import sheet

    progress.begin("drawing the contact sheet")
    count = sum(finding.level == "error" for finding in findings)
    summary = f"{counted(count, 'error')}, {counted(len(findings) - count, 'warning')}"
    sheet.draw(path, findings, title=f"dlcli check {' '.join(map(str, paths))}: {summary}")


def _quarantine(folder: Path, marks: Sequence[Mark], paths: Sequence[Path], progress: Progress) -> dict[str, Any]:
    from dlcli.vision.checking import quarantine

    progress.begin("copying into the quarantine")
    done = quarantine.write(folder, marks, roots=paths)
    return {
        "path": str(done.path),
        "list": str(done.path / quarantine.LIST),
        "files": done.files,
        "listed": done.listed,
    }


def _result(domain: str, data: list[dict[str, Any]], findings: Sequence[Finding]) -> CheckResult:
    errors = sum(finding.level == "error" for finding in findings)
    return CheckResult(
        domain=domain,
        data=data,
        errors=errors,
        warnings=len(findings) - errors,
        findings=[dataclasses.asdict(finding) for finding in findings],
    )


ACTION = Action(
    config=CheckConfig,
    function=check,
    examples=(
        "dlcli check reviews.csv test.csv",
        "dlcli check photos/train photos/test --contact-sheet found.png",
        "dlcli check photos/ --quarantine bad/ --json",
        "dlcli check photos-captions.jsonl --text-column caption --show 100 --json",
        "dlcli check train.csv test.csv --allow blank-text",
    ),
)
