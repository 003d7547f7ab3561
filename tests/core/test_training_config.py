"""Settings that do not fit each other are refused, in words; what nobody gave is filled in."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from pydantic import ValidationError

from dlcli.core.metric_names import NEEDS_PROBABILITIES
from dlcli.core.training_config import (
    _TAKEN_BY,
    MARGIN_LOSSES,
    JudgingConfig,
    OptimizerConfig,
    TrainingConfig,
    require_layer_names,
)
from dlcli.errors import UsageError

# Which choices take which settings, from the papers and Keras' documentation and not from the table.
TAKEN = {
    "momentum": {"sgd", "rmsprop"},
    "nesterov": {"sgd"},
    "rho": {"rmsprop", "adadelta"},
    "beta_1": {"adam", "adamw", "adamax", "nadam", "lion"},
    "beta_2": {"adam", "adamw", "adamax", "nadam", "lion"},
    "epsilon": {"adam", "adamw", "adamax", "nadam", "rmsprop", "adagrad", "adadelta"},
    "amsgrad": {"adam", "adamw"},
    "decay_rate": {"step", "exponential", "inverse-time"},
    "decay_epochs": {"step", "exponential", "inverse-time"},
    "power": {"polynomial"},
    "end_lr": {"polynomial", "cosine", "plateau"},
    "cycles": {"cosine"},
    "cycle_growth": {"cosine"},
    "peak": {"one-cycle", "slanted-triangular"},
    "plateau_factor": {"plateau"},
    "plateau_patience": {"plateau"},
    "label_smoothing": {"categorical_crossentropy", "binary_crossentropy", "focal", "kl_divergence"},
    "focal_gamma": {"focal"},
}
VALUES: dict[str, Any] = {"nesterov": True, "amsgrad": True, "cycles": 2, "cycle_growth": 2, "plateau_patience": 2}
CHOICES = {
    (choice, setting): set(get_args(TrainingConfig.model_fields[choice].annotation))
    for choice, settings in _TAKEN_BY.items()
    for setting in settings
}


def test_the_table_is_the_one_expected() -> None:
    found = {setting: set(takers) for settings in _TAKEN_BY.values() for setting, takers in settings.items()}
    assert found == TAKEN
    for (_, setting), chosen in CHOICES.items():
        assert TAKEN[setting] < chosen, "a setting of choices that exist"


def beside(choice: str, chosen: str, setting: str) -> dict[str, Any]:
    """Return settings in which nothing else is wrong."""
    settings = {"epochs": 9, "patience": 0, choice: chosen, setting: VALUES.get(setting, 0.5)}
    return settings | ({"momentum": 0.9} if setting == "nesterov" and chosen in TAKEN["momentum"] else {})


@pytest.mark.parametrize(("choice", "setting"), CHOICES)
def test_a_setting_goes_with_its_choices_alone(choice: str, setting: str) -> None:
    for chosen in CHOICES[choice, setting]:
        settings = beside(choice, chosen, setting)
        if chosen in TAKEN[setting]:
            assert getattr(TrainingConfig(**settings), setting) == settings[setting]
        else:
            with pytest.raises(ValidationError) as caught:
                TrainingConfig(**settings)
            flags = (
                f"--{setting.replace('_', '-')} does not go with --{choice.replace('_', '-')} {chosen}; it goes with "
            )
            (error,) = caught.value.errors()
            before, _, takers = error["msg"].partition("goes with ")
            assert flags in error["msg"] and before
            assert set(takers.split(", ")) == TAKEN[setting]


def test_settings_that_nobody_gave_go_with_everything() -> None:
    for choice in ("optimizer", "schedule", "loss"):
        for chosen in get_args(TrainingConfig.model_fields[choice].annotation):
            metrics = ("accuracy",)
            config = TrainingConfig(**{choice: chosen, "metrics": metrics})
            # As `run.json` keeps them and `--resume` reads them.
            again = TrainingConfig.model_validate(config.resolved().model_dump(mode="json"))
            assert again == config.resolved()
            assert again.resolved() == again


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"optimizer": "sgd", "nesterov": True}, "--nesterov needs --momentum"),
    ({"optimizer": "sgd", "nesterov": True, "momentum": 0.0}, "--nesterov needs --momentum"),
    ({"clip_norm": 1, "clip_value": 1}, "--clip-norm and --clip-value do not go together"),
    ({"layer_lr": "classes"}, "--layer-lr: expected LAYER=FACTOR, got 'classes'"),
    ({"layer_lr": "classes=fast"}, "--layer-lr: expected LAYER=FACTOR, got 'classes=fast'"),
    ({"layer_lr": "a=1,classes=-1"}, "--layer-lr: expected a factor of at least 0, got 'classes=-1'"),
    ({"layer_lr": "classes=1,classes=0"}, "--layer-lr: 'classes' stands there twice"),
    ({"layer_lr": "classes=nan"}, "--layer-lr: expected a factor of at least 0, got 'classes=nan'"),
    ({"layer_lr": "classes=inf"}, "--layer-lr: expected a factor of at least 0, got 'classes=inf'"),
    (
        {"schedule": "step", "decay_epochs": 9, "epochs": 8},
        "the schedule is longer than the training: --decay-epochs 9 of --epochs 8",
    ),
    # The first decay would come after the last step.
    (
        {"schedule": "step", "decay_epochs": 8, "epochs": 8},
        "the schedule is longer than the training: --decay-epochs 8",
    ),
    (
        {"schedule": "plateau", "epochs": 3, "plateau_patience": 3, "patience": 0},
        "the schedule is longer than the training: --plateau-patience 3 epochs without a better score, --epochs 3",
    ),
    ({"schedule": "plateau", "epochs": 1, "patience": 0}, "the schedule is longer than the training"),
    (
        {"schedule": "plateau", "patience": 2, "plateau_patience": 2},
        "--patience 2 ends the training before --plateau-patience 2 can lower the rate",
    ),
    ({"schedule": "plateau", "patience": 1}, "--patience 1 ends the training before --plateau-patience 1"),
    ({"schedule": "step", "decay_rate": 2}, "--decay-rate 2 would raise the rate of --schedule step"),
    ({"schedule": "exponential", "decay_rate": 1.5}, "--decay-rate 1.5 would raise the rate of --schedule exponential"),
    ({"monitor": "f1"}, "--monitor: expected loss, val_loss or val_METRIC, got 'f1'"),
    ({"warmup": 0}, "expected a count of at least 1, got 0"),
    ({"warmup": 1.0}, "expected a share between 0 and 1"),
    ({"warmup": "150%"}, "expected a share between 0 and 1"),
    ({"warmup": "long"}, "expected a share such as 0.1"),
    ({"accumulate": 2, "device": "gpu:0,1"}, "--accumulate is for one device, got --device gpu:0,1"),
]


@pytest.mark.parametrize(("settings", "message"), REFUSED, ids=[" ".join(map(str, s)) for s, _ in REFUSED])
def test_what_does_not_fit(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TrainingConfig(**settings)
    assert message in caught.value.errors()[0]["msg"]


BOUNDS = {
    "lr": [0, -1, float("nan")],
    "momentum": [-0.1, 1],
    "rho": [0, 1],
    "beta_1": [-0.1, 1],
    "beta_2": [-0.1, 1],
    "epsilon": [0],
    "weight_decay": [-0.1],
    "clip_norm": [0],
    "clip_value": [0],
    "accumulate": [0, 1.5],
    "ema": [0, 1],
    "decay_rate": [0],
    "decay_epochs": [0],
    "power": [0],
    "end_lr": [-1],
    "cycles": [0],
    "cycle_growth": [0.5],
    "peak": [0, 1],
    "plateau_factor": [0, 1],
    "plateau_patience": [0],
    "label_smoothing": [-0.1, 1],
    "focal_gamma": [-1],
    "patience": [-1],
    "min_delta": [-0.1, float("nan")],
    "checkpoint_minutes": [0],
    "optimizer": ["adamm"],
    "schedule": ["one_cycle"],
    "loss": ["crossentropy"],
    "mode": ["higher"],
}


@pytest.mark.parametrize("name", BOUNDS)
def test_bounds(name: str) -> None:
    for value in BOUNDS[name]:
        with pytest.raises(ValidationError) as caught:
            TrainingConfig(**{name: value})
        assert caught.value.errors()[0]["loc"] == (name,)


@pytest.mark.parametrize("loss", MARGIN_LOSSES)
@pytest.mark.parametrize("name", sorted(NEEDS_PROBABILITIES))
def test_what_needs_probabilities_is_refused_with_scores_without_bounds(loss: str, name: str) -> None:
    for settings in ({"metrics": (name,)}, {"monitor": f"val_{name}"}):
        with pytest.raises(ValidationError, match=f"{name} needs probabilities, and --loss {loss} trains scores"):
            TrainingConfig(loss=loss, **settings)
        TrainingConfig(loss="mse", **settings)


def test_other_metrics_go_with_a_hinge() -> None:
    TrainingConfig(loss="hinge", metrics=("f1", "balanced_accuracy"), monitor="val_f1")


class TestMetrics:
    def test_unknown_ones_name_the_nearest(self) -> None:
        for settings in ({"metrics": "acuracy,f1"}, {"monitor": "val_acuracy"}):
            with pytest.raises(UsageError) as caught:
                JudgingConfig(**settings)
            assert caught.value.message == "there is no metric 'acuracy'"
            assert caught.value.hint == "Did you mean 'accuracy'?"

    def test_the_monitored_one_is_computed_too(self) -> None:
        config = JudgingConfig(metrics="f1,auc", monitor="val_brier")
        assert config.scored() == ["accuracy", "f1_macro", "auc", "brier"]
        assert JudgingConfig(metrics="f1-macro,F1", monitor="val_loss").scored() == ["accuracy", "f1_macro"]

    @pytest.mark.parametrize(
        ("settings", "key", "higher"),
        [
            ({}, "val_accuracy", True),
            ({"monitor": "val_loss"}, "val_loss", False),
            ({"monitor": "loss"}, "loss", False),
            ({"monitor": "accuracy"}, "accuracy", True),
            ({"monitor": "val_f1"}, "val_f1_macro", True),
            ({"monitor": "val_log_loss"}, "val_log_loss", False),
            ({"monitor": "val_ece"}, "val_ece", False),
            ({"monitor": "val_ece", "mode": "max"}, "val_ece", True),
            ({"monitor": "val_auc", "mode": "min"}, "val_auc", False),
        ],
    )
    def test_the_direction(self, settings: dict[str, Any], key: str, higher: bool) -> None:
        config = JudgingConfig(**settings)
        assert (config.monitored(), config.higher_is_better()) == (key, higher)


class TestLayerFactors:
    def test_they_are_read(self) -> None:
        config = OptimizerConfig(layer_lr=" embedding=0.1, classes=0,")
        assert config.layer_factors() == {"embedding": 0.1, "classes": 0.0}
        assert OptimizerConfig().layer_factors() == {}

    def test_layers_that_are_not_there(self) -> None:
        require_layer_names({"a": 1.0}, ["a", "b"])
        with pytest.raises(UsageError) as caught:
            require_layer_names({"classses": 1.0}, ["embedding", "classes"])
        assert caught.value.message == "--layer-lr: the model has no layer 'classses' with weights"
        assert caught.value.hint == "Did you mean 'classes'?"


def test_what_is_filled_in() -> None:
    config = TrainingConfig(optimizer="adamw").resolved()
    assert (config.weight_decay, config.label_smoothing) == (0.004, 0.05)
    assert config.lr is not None and config.lr > 0
    given = TrainingConfig(optimizer="adamw", weight_decay=0.0, lr=0.5, label_smoothing=0.0).resolved()
    assert (given.weight_decay, given.lr, given.label_smoothing) == (0.0, 0.5, 0.0)
    assert TrainingConfig(optimizer="sgd").resolved().weight_decay == 0.0
