"""What the settings of an augmentation mean: presets, what replaces parts of them, and what is refused."""

from __future__ import annotations

import dataclasses
from typing import Any

import pydantic
import pytest

from dlcli.core.config import Config
from dlcli.vision.augmentation.config import PRESETS, AugmentationConfig, MixingConfig, Strengths


def test_nothing_given_changes_nothing() -> None:
    assert not AugmentationConfig().active
    assert AugmentationConfig().strengths() == Strengths()


def test_the_settings_are_the_strengths_and_the_preset() -> None:
    fields = {field.name for field in dataclasses.fields(Strengths)}
    assert set(AugmentationConfig.model_fields) == fields | {"augment"}


def test_the_book_has_the_seven_operations_less_the_rescaling() -> None:
    strengths = AugmentationConfig(augment="book").strengths()
    assert strengths == Strengths(
        rotation=40, width_shift=0.2, height_shift=0.2, shear=0.2, zoom=(0.8, 1.2), horizontal_flip=True
    )
    assert strengths.fill_mode == "nearest"


def test_what_is_given_replaces_a_part_of_the_preset() -> None:
    config = AugmentationConfig(augment="book", rotation=0, horizontal_flip=False, fill_mode="reflect")
    expected = dataclasses.replace(PRESETS["book"], rotation=0, horizontal_flip=False, fill_mode="reflect")
    assert config.strengths() == expected


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("zoom", "0.2", (0.8, 1.2)),
        ("zoom", "0.8-1.2", (0.8, 1.2)),
        ("zoom", "0.8,1.2", (0.8, 1.2)),
        ("zoom", [0.8, 1.2], (0.8, 1.2)),
        ("brightness", "20%", (0.8, 1.2)),
        ("contrast", "0", (1, 1)),
        ("width_shift", "0.2", 0.2),
        ("width_shift", "20%", 0.2),
        ("width_shift", "10", 10),
        ("height_shift", 0, 0),
    ],
)
def test_values_are_read_from_flags_and_recipes(field: str, text: Any, value: Any) -> None:
    found = getattr(AugmentationConfig(**{field: text}), field)
    assert found == pytest.approx(value)
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("zoom", "1.5", "expected a number such as 0.2, or a range of factors such as 0.8-1.2"),
        ("zoom", "1.2-0.8", "the smaller one first"),
        ("zoom", "0-1", "from 0.01"),
        ("zoom", "wide", "got 'wide'"),
        ("width_shift", "1.5", "expected a share below 1 such as 0.2 or 20%, or whole pixels such as 10"),
        ("height_shift", "-3", "got -3"),
        ("rotation", 181, "less than or equal to 180"),
        ("hue", 0.6, "less than or equal to 0.5"),
        ("fill_mode", "mirror", "'nearest', 'reflect', 'wrap' or 'constant'"),
        ("augment", "lite", "'none', 'light', 'book' or 'strong'"),
    ],
)
def test_what_makes_no_sense_is_refused(field: str, value: Any, message: str) -> None:
    with pytest.raises(pydantic.ValidationError, match=message):
        AugmentationConfig(**{field: value})


@pytest.mark.parametrize(
    "config", [AugmentationConfig(augment="strong", zoom="0.3", width_shift="5"), MixingConfig(mixup=0.2)]
)
def test_a_config_is_what_its_json_says(config: Config) -> None:
    assert type(config).model_validate_json(config.model_dump_json()) == config
