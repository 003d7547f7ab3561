"""The verbs: one file each, with its config model, one plain function, and how its result reads.

`VERBS` is what `dlcli --help` shows, so that the help imports no verb; a test keeps it true to the modules.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from dlcli.errors import UsageError, nearest

if TYPE_CHECKING:
    from dlcli.core.progress import Progress
    from dlcli.verbs.shared.result import Result
    from dlcli.verbs.shared.training import Task


class Verb(NamedTuple):
    """A line of the root help."""

    name: str
    summary: str
    group: str

    def load(self) -> Action:
        """Import the verb's module and return what it does."""
        action: Action = importlib.import_module(f"dlcli.verbs.{self.name.replace('-', '_')}").ACTION
        return action


@dataclass(frozen=True, kw_only=True)
class Action:
    """What a verb's module defines.

    Attributes:
        config: the pydantic model of its settings.
        function: does the job; takes a config and a `Progress`, returns a `Result`.
        examples: command lines for the end of its help.
        task: how it trains, of a verb that does.
    """

    config: type[Any]
    function: Callable[[Any, Progress], Result]
    examples: tuple[str, ...]
    task: Task | None = None

    def run(self, config: Any, progress: Progress) -> Result:
        """Do the job, perhaps after others in this process: of their models nothing is kept, and names begin anew."""
        if keras := sys.modules.get("keras"):
            keras.utils.clear_session(free_memory=False)
        return self.function(config, progress)


VERBS = (
    Verb("check", "Find bad rows, repeats and leaks in data, before training.", "Data"),
    Verb("augment", "Write changed copies of pictures, or show what a change does.", "Data"),
    Verb("clean", "Write a table with its texts cleaned: as the pipeline sees them.", "Data"),
    Verb("tokenize", "Turn texts into a sparse matrix or padded ids, and a vocabulary.", "Data"),
    Verb("features", "Write what a pretrained base makes of pictures, for other tools.", "Data"),
    Verb("train-text", "Train a text classifier from a table or a folder of texts.", "Train"),
    Verb("train-image", "Train a picture classifier from a folder or an archive.", "Train"),
    Verb("finetune", "Train a picture classifier on a pretrained base, frozen or not.", "Train"),
    Verb("ensemble", "Make one run of several: the weighted mean of their answers.", "Train"),
    Verb("evaluate", "Score a run on labelled data; a gate for CI.", "Judge"),
    Verb("compare", "Compare runs: settings that differ, scores, paired tests.", "Judge"),
    Verb("report", "Write a report on a run: one page, Markdown, or a model card.", "Judge"),
    Verb("inspect", "Show what a run is, and what is in it: layers, weights, filters.", "Judge"),
    Verb("reproduce", "Train a run again from its record, and compare the weights.", "Judge"),
    Verb("predict", "Classify texts or pictures: a table, a folder, stdin or a few.", "Use"),
    Verb("explain", "Show which words or pixels an answer comes from, and how much.", "Use"),
    Verb("export", "Write a run as an artefact that needs no dlcli, and verify it.", "Use"),
    Verb("bench", "Measure how fast a run and its exports answer, and their memory.", "Use"),
    Verb("eject", "Write a run as one short, plain Keras script that gives the same.", "Use"),
    Verb("data", "List data sets, fetch them, and say where they are.", "Automate"),
    Verb("pretrained", "List pretrained bases, fetch their weights, add your own.", "Automate"),
    Verb("run", "Run a recipe: several verbs, from one TOML file.", "Automate"),
    Verb("doctor", "Show versions, devices, and what is missing.", "Automate"),
)


def find_verb(name: str) -> Verb:
    """Return the verb of that name.

    Raises:
        UsageError: there is none; names the nearest.
    """
    for verb in VERBS:
        if verb.name == name:
            return verb
    raise UsageError(f"there is no verb {name!r}", hint=nearest(name, [verb.name for verb in VERBS]))
