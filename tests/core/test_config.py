"""Settings: shares and counts, and strictness."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from dlcli.core.config import Config, RunConfig
from dlcli.core.training_config import TrainingConfig


@pytest.mark.parametrize(
    ("given", "expected"),
    [("10%", 0.1), ("0.1", 0.1), (0.1, 0.1), (" 12.5% ", 0.125), ("0.5%", 0.005), (500, 500), ("500", 500), ("1", 1)],
)
def test_a_dot_or_a_percent_sign_makes_a_share_and_a_whole_number_a_count(given: Any, expected: int | float) -> None:
    value = TrainingConfig(val_split=given).val_split
    assert (value, type(value)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("a tenth", "expected a share such as 0.1 or 10%, or a count such as 500, got 'a tenth'"),
        ("", "expected a share such as 0.1 or 10%, or a count such as 500, got ''"),
        ("1,000", "expected a share such as 0.1 or 10%, or a count such as 500, got '1,000'"),
        ("%", "expected a share such as 0.1 or 10%, or a count such as 500, got '%'"),
        ("0.0", "expected a share between 0 and 1 (0 % and 100 %), got 0"),
        ("1.0", "expected a share between 0 and 1 (0 % and 100 %), got 1"),
        ("100%", "expected a share between 0 and 1 (0 % and 100 %), got 1"),
        ("-5%", "expected a share between 0 and 1 (0 % and 100 %), got -0.05"),
        ("nan%", "expected a share between 0 and 1 (0 % and 100 %), got nan"),
        (1.5, "expected a share between 0 and 1 (0 % and 100 %), got 1.5"),
        (0, "expected a count of at least 1, got 0"),
        ("-3", "expected a count of at least 1, got -3"),
    ],
)
def test_a_share_that_is_none_says_what_was_expected(given: Any, message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TrainingConfig(val_split=given)
    assert caught.value.errors()[0]["msg"] == f"Value error, {message}"


@pytest.mark.parametrize("share", ["10%", 500])
def test_a_share_survives_the_way_through_run_json(share: Any) -> None:
    config = TrainingConfig(val_split=share)
    again = TrainingConfig.model_validate(json.loads(json.dumps(config.model_dump(mode="json"))))
    assert again == config
    assert type(again.val_split) is type(config.val_split)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("batch_size", 0),
        ("lr", 0),
        ("label_smoothing", 1),
        ("patience", -1),
        ("seed", -1),
        ("seed", 2**31),
        ("optimizer", "rmsprob"),
        ("learning_rate", 0.1),
    ],
)
def test_what_is_out_of_bounds_or_unknown_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        TrainingConfig(**{name: value})
    assert caught.value.errors()[0]["loc"] == (name,)


def test_a_config_is_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        TrainingConfig().epochs = 3  # type: ignore[misc]


def test_take_returns_the_settings_of_one_group() -> None:
    class Both(RunConfig, TrainingConfig):
        pass

    taken = Both(epochs=9, force=True).take(TrainingConfig)
    assert type(taken) is TrainingConfig
    assert taken == TrainingConfig(epochs=9)


@pytest.mark.parametrize("group", [TrainingConfig, RunConfig])
def test_every_setting_has_a_help_text_that_is_a_sentence(group: type[Config]) -> None:
    for name, field in group.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name
