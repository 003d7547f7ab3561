"""Labels, the split, the fingerprint and the class weights."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from dlcli.core.dataset import Split, class_weights, fingerprint, label_ids, label_names, split
from dlcli.errors import DataError, UsageError

NAMES = ["a", "b", "c"]


def make(counts: tuple[int, ...]) -> tuple[list[str], np.ndarray]:
    """Return different texts and shuffled labels, so many of each class."""
    labels = np.random.default_rng(1).permutation(np.repeat(np.arange(len(counts)), counts))
    return [f"text {number}" for number in range(len(labels))], labels


def held_out(parts: Split, labels: np.ndarray) -> list[int]:
    return np.bincount(labels[parts.validation], minlength=len(NAMES)).tolist()


class TestLabelNames:
    def test_numbers_count_as_numbers(self) -> None:
        labels = ["class_10", "class_2", "class_1", "class_2", "10", "9", "x", "class_"]
        assert label_names(labels, where="a.csv") == ["9", "10", "class_", "class_1", "class_2", "class_10", "x"]

    def test_the_order_is_that_of_the_names_alone(self) -> None:
        labels = ["01", "1", "001", "b2a", "b10a", "b2"]
        assert (
            label_names(labels, where="a.csv")
            == label_names(reversed(labels), where="a.csv")
            == ["001", "01", "1", "b2", "b2a", "b10a"]
        )

    @pytest.mark.parametrize(
        ("labels", "message"),
        [
            ([], "a.csv: expected at least two classes, found 0"),
            (["pos", "pos"], "a.csv: expected at least two classes, found 1: 'pos'"),
        ],
    )
    def test_one_class_is_an_error(self, labels: list[str], message: str) -> None:
        with pytest.raises(DataError) as caught:
            label_names(labels, where="a.csv")
        assert caught.value.message == message


class TestLabelIds:
    def test_an_id_is_a_place_among_the_names(self) -> None:
        assert label_ids(["b", "a", "b"], ["a", "b", "c"], where="x.csv").tolist() == [1, 0, 1]

    def test_an_unknown_label_is_named(self) -> None:
        with pytest.raises(DataError) as caught:
            label_ids(["a", "good", "bad", "good"], ["a", "b"], where="x.csv")
        assert caught.value.message == "x.csv has labels that the model does not know: 'bad', 'good'"
        assert caught.value.hint == "The model's labels: a, b"

    def test_many_unknown_labels_are_counted(self) -> None:
        with pytest.raises(DataError, match=r"'0', '1', '2', '3', '4' and 4 more"):
            label_ids([str(n) for n in range(9)], ["a", "b"], where="x.csv")


class TestSplit:
    @pytest.mark.parametrize("counts", [(100, 100, 100), (500, 40, 11), (7, 1003, 90)])
    @pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.9])
    def test_each_class_gives_its_share(self, counts: tuple[int, ...], share: float) -> None:
        texts, labels = make(counts)
        parts = split(texts, labels, NAMES, share=share, seed=3, where="a.csv")
        for taken, count in zip(held_out(parts, labels), counts, strict=True):
            assert abs(taken - share * count) <= 1
        both = np.concatenate([parts.training, parts.validation])
        assert sorted(both.tolist()) == list(range(len(texts)))
        assert np.all(np.diff(parts.training) > 0)
        assert np.all(np.diff(parts.validation) > 0)

    @pytest.mark.parametrize("count", [60, 61, 150])
    def test_a_count_is_the_number_of_items_within_a_rounding_a_class(self, count: int) -> None:
        texts, labels = make((300, 200, 100))
        parts = split(texts, labels, NAMES, share=count, seed=3, where="a.csv")
        assert abs(len(parts.validation) - count) <= len(NAMES)
        assert held_out(parts, labels) == pytest.approx([count / 2, count / 3, count / 6], abs=1)

    def test_equal_texts_stay_on_one_side(self) -> None:
        random = np.random.default_rng(0)
        labels = np.repeat([0, 1, 2], 200)
        texts = [f"{label} {random.integers(60)}" for label in labels]
        parts = split(texts, labels, NAMES, share=0.3, seed=0, where="a.csv")
        assert not {texts[row] for row in parts.training} & {texts[row] for row in parts.validation}
        assert len(parts.validation) == pytest.approx(180, abs=30)

    def test_equal_texts_with_different_labels_stay_on_one_side_too(self) -> None:
        texts = [f"text {number % 50}" for number in range(200)]
        labels = np.arange(200) // 50 % 2
        parts = (
            split(texts, labels, ["a", "b"], share=0.2, seed=0, where="a.csv") if len(set(labels[:50])) > 1 else None
        )
        # All leaders are of class a here, so class b has no text of its own: an error, and not a leak.
        assert parts is None
        with pytest.raises(DataError, match="class 'b' has 100 item"):
            split(texts, labels, ["a", "b"], share=0.2, seed=0, where="a.csv")

    def test_the_split_is_a_function_of_the_seed(self) -> None:
        texts, labels = make((60, 60, 60))
        first, again, other = (split(texts, labels, NAMES, share=0.2, seed=seed, where="a.csv") for seed in (7, 7, 8))
        assert first.validation.tolist() == again.validation.tolist()
        assert first.validation.tolist() != other.validation.tolist()

    def test_the_largest_seed_works(self) -> None:
        texts, labels = make((6, 6, 6))
        assert len(split(texts, labels, NAMES, share=0.5, seed=2**31 - 1, where="a.csv").validation) == 9

    @pytest.mark.parametrize("share", [0.001, 0.1, 0.999, 1, 5])
    def test_every_class_is_on_both_sides(self, share: float) -> None:
        texts, labels = make((2, 3, 40))
        parts = split(texts, labels, NAMES, share=share, seed=0, where="a.csv")
        assert set(labels[parts.training]) == set(labels[parts.validation]) == {0, 1, 2}

    def test_a_class_whose_texts_are_all_equal_is_an_error(self) -> None:
        with pytest.raises(DataError) as caught:
            split(["x", "y", "z", "z", "z"], np.array([0, 0, 1, 1, 1]), ["a", "b"], share=0.2, seed=0, where="a.csv")
        assert caught.value.message == (
            "a.csv: class 'b' has 3 item(s), 1 of them different; a split needs at least two"
        )
        assert "--val" in caught.value.hint

    def test_a_class_of_one_row_is_an_error(self) -> None:
        with pytest.raises(DataError, match=r"class 'b' has 1 item\(s\)"):
            split(["x", "y", "z"], np.array([0, 0, 1]), ["a", "b"], share=0.2, seed=0, where="a.csv")

    @pytest.mark.parametrize("share", [10, 11, 5000])
    def test_a_count_that_leaves_nothing_is_an_error(self, share: int) -> None:
        texts, labels = make((4, 3, 3))
        with pytest.raises(UsageError) as caught:
            split(texts, labels, NAMES, share=share, seed=0, where="a.csv")
        assert caught.value.message == (f"--val-split {share} would leave nothing to train on: there are 10 items")


class TestFingerprint:
    def test_it_is_the_same_for_the_same_data(self) -> None:
        value = fingerprint(["good film", "bäd"], ["pos", "neg"])
        assert value == fingerprint(["good film", "bäd"], ["pos", "neg"])
        assert len(value) == 64

    @pytest.mark.parametrize(
        ("items", "labels"),
        [
            (["good film", "bad "], ["pos", "neg"]),
            (["good film", "bad"], ["pos", "pos"]),
            (["bad", "good film"], ["neg", "pos"]),
            (["bad", "good film"], ["pos", "neg"]),
            (["good film"], ["pos"]),
            (["good film", "bad", ""], ["pos", "neg", ""]),
        ],
    )
    def test_any_change_changes_it(self, items: list[str], labels: list[str]) -> None:
        assert fingerprint(items, labels) != fingerprint(["good film", "bad"], ["pos", "neg"])

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ((["ab", "c"], ["x", "y"]), (["a", "bc"], ["x", "y"])),
            ((["ab"], ["c"]), (["a"], ["bc"])),
            ((["a\x1fx\x1e1:b"], ["y"]), (["a", "b"], ["x", "y"])),
            ((["a"], ["x\x1e1:b\x1fy"]), (["a", "b"], ["x", "y"])),
            ((["a\x1fb"], ["c"]), (["a"], ["b\x1fc"])),
            (([], []), ([""], [""])),
        ],
    )
    def test_moved_boundaries_do_not_fool_it(
        self, one: tuple[list[str], list[str]], other: tuple[list[str], list[str]]
    ) -> None:
        assert fingerprint(*one) != fingerprint(*other)


class TestClassWeights:
    def test_none_is_none(self) -> None:
        assert class_weights("none", np.array([0, 1]), ["a", "b"]) is None

    def test_balanced_is_that_of_scikit_learn(self) -> None:
        labels = np.random.default_rng(0).choice(3, size=500, p=[0.7, 0.25, 0.05])
        expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
        np.testing.assert_allclose(class_weights("balanced", labels, NAMES), expected, rtol=1e-6)

    def test_named_weights(self) -> None:
        weights = class_weights("c=2.5,a=3", np.array([0, 1, 2]), NAMES)
        assert weights is not None
        assert weights.tolist() == [3.0, 1.0, 2.5]
        assert weights.dtype == np.float32

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("balance", "expected 'balanced' or 'name=weight,...', got 'balance'"),
            ("a=1,d=2", "there is no class 'd'"),
            ("a=much", "expected a number for 'a', got 'much'"),
            ("a=0", "weights must be positive numbers, got 'a=0'"),
            ("a=-1", "weights must be positive numbers, got 'a=-1'"),
            ("a=nan", "weights must be positive numbers, got 'a=nan'"),
            ("a=inf", "weights must be positive numbers, got 'a=inf'"),
            ("a=1e300", "weights must be positive numbers, got 'a=1e300'"),
        ],
    )
    def test_errors_say_what_was_expected(self, text: str, message: str, recwarn: pytest.WarningsRecorder) -> None:
        with pytest.raises(UsageError) as caught:
            class_weights(text, np.array([0, 1, 2]), NAMES)
        assert not recwarn.list
        assert caught.value.message == f"--class-weight: {message}"
