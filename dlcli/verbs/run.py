"""`dlcli run`: a recipe by name or path."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from dlcli.core.config import Config, option
from dlcli.core.progress import Progress
from dlcli.errors import DlcliError
from dlcli.verbs import Action
from dlcli.verbs.shared.result import Result, facts


class RunConfig(Config):
    """All settings of a recipe's run."""

    section = "Recipe"

    recipe: str | None = option(
        None, "Name of a shipped recipe, or a TOML file; without it the shipped ones are listed.", argument=True
    )
    set: tuple[str, ...] = option(
        (),
        "Change a setting: train.epochs=2, or a shared value: data=PATH. May be given several times.",
        metavar="KEY=VALUE",
    )
    dry_run: bool = option(False, "Check the recipe and show its steps; run nothing, fetch nothing.")


class RunResult(Result):
    """What each step returned, and the recipe's summary."""

    recipe: str
    steps: dict[str, Any]
    data_sets: list[str] = Field(default_factory=list)
    """Of the registry, that the steps take."""
    summary: str = Field(exclude=True)
    failed: DlcliError | None = Field(None, exclude=True)

    def text(self) -> str:
        """Return the summary."""
        return self.summary

    def check(self) -> None:
        """Raise when a step's gate was not met."""
        if self.failed is not None:
            raise self.failed


def run(config: RunConfig, progress: Progress) -> RunResult:
    """Fetch the data sets that a recipe names and run its steps, or show what would be done.

    Args:
        config: which recipe, and what to change in it.
        progress: told of the steps' work.

    Returns:
        the results by step; the steps after a gate that was not met are left out.
    """
    from dlcli import recipes

    if config.recipe is None:
        titles = {name: recipes.load(path).title for name, path in recipes.shipped().items()}
        return RunResult(recipe="", steps=titles, summary=facts(list(titles.items())))
    recipe = recipes.load(recipes.find(config.recipe), config.set)
    entries = recipes.data_sets(recipe)
    names = [entry.name for entry in entries]
    if config.dry_run:
        commands = recipes.command_lines(recipe)
        first = [f"dlcli data fetch {entry.name}" for entry in entries if not entry.here]
        summary = "\n".join([*first, *commands.values()])
        return RunResult(recipe=config.recipe, steps=commands, data_sets=names, summary=summary)
    outcome = recipes.run(recipe, progress)
    return RunResult(
        recipe=config.recipe,
        steps={name: result.model_dump(mode="json", by_alias=True) for name, result in outcome.results.items()},
        data_sets=names,
        summary=outcome.summary,
        failed=outcome.failed,
    )


ACTION = Action(
    config=RunConfig,
    function=run,
    examples=(
        "dlcli run quickstart",
        "dlcli run quickstart --set train.epochs=2",
        "dlcli run my-recipe.toml --dry-run",
    ),
)
