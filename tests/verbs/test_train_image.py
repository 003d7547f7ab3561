"""`train-image` by the real command: every model, what it leaves, exact resumes, and bad pictures."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT, Outcome, call
from PIL import Image
from vision.pictures import deep_png, encode, exif, picture, scene

from verbs.helpers import history, read_csv, record, same_weights, without_times

Command = Callable[..., Outcome]
DIGITS = ROOT / "sample_data" / "digits"
SHAPES = ROOT / "sample_data" / "shapes"
LABELS = ("circle", "square", "triangle")
TINY = {
    "linear": "",
    "mlp": "--hidden-units 16",
    "cnn": "--filters 4,8 --hidden-units 16",
    "cnn-bn": "--filters 4,8 --hidden-units 16 --norm-position post",
    "resnet": "--filters 4,8",
    "rnn": "--units 8 --cell gru",
}
CHANGED = [
    "--augment",
    "light",
    "--mixup",
    "0.2",
    "--cutmix",
    "1",
    "--dropout",
    "0.3",
    "--epochs",
    "2",
    "--batch-size",
    "64",
]


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return two folders of handwritten digits, 8 x 8 pixels: forty and twenty of each of four classes."""
    root = tmp_path_factory.mktemp("digits")
    for name in "0147":
        files = sorted((DIGITS / name).iterdir())
        for part, some in (("train", files[:40]), ("test", files[40:60])):
            (root / part / name).mkdir(parents=True)
            for file in some:
                shutil.copy(file, root / part / name)
    return root / "train", root / "test"


@pytest.fixture(scope="module")
def changed(digits: tuple[Path, Path]) -> Path:
    """Return a run with augmentation, mixing and dropout."""
    path = digits[0].parent / "changed"
    outcome = call("train-image", digits[0], "--model", "cnn", *TINY["cnn"].split(), *CHANGED, "--out", path)
    assert outcome.code == 0, outcome.err
    return path


@pytest.mark.parametrize("model", TINY)
def test_each_model_learns(dlcli: Command, digits: tuple[Path, Path], model: str) -> None:
    epochs, size = (30, 16) if model == "cnn-bn" else (6, 8)  # Its moving averages want steps and large batches.
    flags = ("--model", model, *TINY[model].split(), "--epochs", epochs, "--lr", "0.01", "--batch-size", size)
    flags += ("--precision", "float32")  # So few pictures are learnt otherwise by processors that take bfloat16.
    outcome = dlcli("train-image", digits[0], *flags, "--out", "o")
    assert outcome.code == 0, outcome.err
    settings = record(Path("o"))["config"]
    assert (settings["image_size"], settings["color"]) == ("8", "grayscale"), "as the pictures are"
    beside = model == "linear"  # What stands beside the scores is the same for all.
    judged = dlcli("evaluate", "o", digits[1], "--json", "--bootstrap", "0", *([] if beside else ["--no-baselines"]))
    assert judged.code == 0, judged.err
    scores = json.loads(judged.out)
    assert scores["accuracy"] >= 0.8
    if beside:
        assert [baseline["name"] for baseline in scores["baselines"]] == ["majority", "pixels"]
        assert scores["baselines"][1]["metrics"]["accuracy"]["value"] > 0.8


@pytest.mark.parametrize("part", ["epoch", "step"])
def test_a_resumed_training_ends_as_the_one_that_was_never_stopped(
    dlcli: Command, digits: tuple[Path, Path], changed: Path, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dlcli.core.callbacks import Steps

    end, steps = Steps.on_train_batch_end, 0

    def interrupt(self: Any, *arguments: Any, **more: Any) -> None:
        nonlocal steps
        if part == "step":
            end(self, *arguments, **more)
            steps += 1
            if steps < 4:
                return
            self.checkpoints.save(self.state)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(
            *(
                ("dlcli.console.Console.epoch", interrupt)
                if part == "epoch"
                else ("dlcli.core.callbacks.Steps.on_train_batch_end", interrupt)
            )
        )
        flags = ("--model", "cnn", *TINY["cnn"].split(), *CHANGED, "--out", "o")
        assert dlcli("train-image", digits[0], *flags).code == 130
    assert dlcli("train-image", "--resume", "o").code == 0
    assert same_weights(Path("o"), changed)
    assert without_times(Path("o")) == without_times(changed)


@pytest.mark.parametrize("cache", ["disk", "none"])
def test_where_pictures_are_kept_changes_nothing(
    dlcli: Command, digits: tuple[Path, Path], changed: Path, cache: str
) -> None:
    flags = ("--model", "cnn", *TINY["cnn"].split(), *CHANGED, "--cache", cache)
    assert dlcli("train-image", digits[0], *flags, "--out", "o").code == 0
    assert same_weights(Path("o"), changed)
    assert not [path for path in Path("home").rglob("*") if path.is_file()], "the cache is gone"


def test_training_goes_on_from_another_run(dlcli: Command, digits: tuple[Path, Path], changed: Path) -> None:
    outcome = dlcli("train-image", digits[0], "--from", changed, "--augment", "light", "--epochs", "1", "--out", "o")
    assert outcome.code == 0, outcome.err
    assert record(Path("o"))["config"]["filters"] == [4, 8]
    assert not same_weights(Path("o"), changed)


def test_mixed_labels_are_trained_on(changed: Path) -> None:
    """Of mixed items no model can be sure: the loss of training stays over that of validation."""
    assert all(epoch["loss"] > epoch["val_loss"] for epoch in history(changed)[1:])


class TestAnswers:
    def test_test_time_augmentation_is_a_mean_over_draws(
        self, dlcli: Command, digits: tuple[Path, Path], changed: Path
    ) -> None:
        plain = read_csv(dlcli("predict", changed, digits[1], "--proba").out)
        drawn = read_csv(dlcli("predict", changed, digits[1], "--proba", "--tta", "4").out)
        assert len(plain) == len(drawn) == 80
        assert [row["file"] for row in plain] == [row["file"] for row in drawn]
        assert plain != drawn
        assert sum(float(drawn[0][f"p({name})"]) for name in "0147") == pytest.approx(1, abs=1e-5)
        again = read_csv(dlcli("predict", changed, digits[1], "--proba", "--tta", "4").out)
        assert again == drawn

    def test_without_augmentation_there_is_nothing_to_draw(self, dlcli: Command, shapes: Path) -> None:
        outcome = dlcli("evaluate", shapes, SHAPES, "--tta", "3")
        assert outcome.code == 2
        assert "--tta draws as the training did, and that had no augmentation" in outcome.err

    def test_a_table_of_paths(self, dlcli: Command, shapes: Path) -> None:
        rows = [f"{SHAPES / name / '000.jpg'},{name},x" for name in ("circle", "square", "triangle")]
        Path("a.csv").write_text("\n".join(["picture,kind,note", *rows]) + "\n")
        found = read_csv(dlcli("predict", shapes, "a.csv", "--path-column", "picture").out)
        assert [row["note"] for row in found] == ["x"] * 3
        outcome = dlcli("evaluate", shapes, "a.csv", "--path-column", "picture", "--label-column", "kind", "--json")
        assert outcome.code == 0, outcome.err
        assert json.loads(outcome.out)["n"] == 3
        whole = read_csv(dlcli("predict", shapes, SHAPES).out)
        assert [row["prediction"] for row in found] == [
            row["prediction"] for row in whole if row["file"].endswith("/000.jpg")
        ]

    def test_one_picture_and_paths_on_stdin(self, dlcli: Command, shapes: Path) -> None:
        picture = SHAPES / "circle" / "000.jpg"
        one = read_csv(dlcli("predict", shapes, picture).out)
        piped = read_csv(dlcli("predict", shapes, "-", stdin=f"{picture}\n\n").out)
        assert one == piped

    @pytest.mark.parametrize(
        ("arguments", "code", "words"),
        [
            (["--text", "a circle"], 2, "--text is for texts"),
            (["SHAPES", "--text-column", "a"], 2, "--text-column is for texts, and the run is of pictures"),
            (["nowhere"], 2, "nowhere does not exist"),
            (["broken.jpg"], 3, "broken.jpg"),
            (["broken.jpg", "--json"], 3, "broken.jpg"),
        ],
    )
    def test_what_cannot_be_answered(
        self, dlcli: Command, shapes: Path, arguments: list[str], code: int, words: str
    ) -> None:
        Path("broken.jpg").write_bytes((SHAPES / "circle" / "000.jpg").read_bytes()[:300])
        outcome = dlcli("predict", shapes, *(str(SHAPES) if word == "SHAPES" else word for word in arguments))
        assert outcome.code == code, outcome.err
        assert words in outcome.lines[-1]
        assert outcome.out == ""


class TestBadPicturesToAnswer:
    """Of three good and five bad pictures: what stands in the folder `mixed`."""

    BAD = ("cut.jpg", "empty.png", "gone.jpg", "late.jpg", "page.png")

    @pytest.fixture
    def mixed(self) -> Path:
        good = {name: (SHAPES / name / "000.jpg").read_bytes() for name in LABELS}
        for name, content in good.items():
            Path("mixed", name).mkdir(parents=True)
            Path("mixed", name, "000.jpg").write_bytes(content)
        Path("mixed/circle/cut.jpg").write_bytes(good["circle"][:400])
        Path("mixed/circle/empty.png").touch()
        Path("mixed/square/page.png").write_text("<html>")
        Path("mixed/square/gone.jpg").symlink_to("nowhere.jpg")
        Path("mixed/triangle/late.jpg").write_bytes(good["triangle"][:400])
        return Path("mixed")

    @pytest.mark.parametrize("verb", ["predict", "evaluate"])
    def test_all_are_named_in_one_line(
        self, dlcli: Command, shapes: Path, mixed: Path, verb: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        outcome = dlcli(verb, shapes, mixed)
        assert (outcome.code, outcome.out) == (3, ""), outcome.err
        assert "3 pictures cannot be used" in outcome.lines[-1]
        assert all(name in outcome.lines[-1] for name in ("empty.png", "page.png", "gone.jpg", "--skip-bad"))
        for name in ("circle/empty.png", "square/page.png", "square/gone.jpg"):
            (mixed / name).unlink()
        # What only the decoder sees is named over the chunks, the last as the first.
        monkeypatch.setattr("dlcli.verbs.predict._CHUNK", 2)
        monkeypatch.setattr("dlcli.results.answers.CHUNK", 2)
        outcome = dlcli(verb, shapes, mixed)
        assert (outcome.code, outcome.out) == (3, ""), outcome.err
        assert "2 pictures cannot be used" in outcome.lines[-1]
        assert "circle/cut.jpg" in outcome.lines[-1] and "triangle/late.jpg" in outcome.lines[-1]

    def test_predict_goes_on_without_them(self, dlcli: Command, shapes: Path, mixed: Path) -> None:
        outcome = dlcli("predict", shapes, mixed, "--skip-bad")
        assert outcome.code == 0, outcome.err
        assert [row["file"] for row in read_csv(outcome.out)] == [f"mixed/{c}/000.jpg" for c in LABELS]
        assert "mixed: 5 bad pictures are left out: " in outcome.err
        assert all(name in outcome.err for name in self.BAD)
        whole = read_csv(dlcli("predict", shapes, SHAPES).out)
        expected = {Path(row["file"]).parts[-2:]: row["probability"] for row in whole}
        for row in read_csv(outcome.out):
            assert row["probability"] == expected[Path(row["file"]).parts[-2:]]
        stdin = "".join(f"{path}\n" for path in sorted(mixed.rglob("*.*g")))
        piped = dlcli("predict", shapes, "-", "--skip-bad", stdin=stdin)
        assert read_csv(piped.out) == read_csv(outcome.out)
        assert "stdin: 5 bad pictures are left out" in piped.err

    def test_rows_of_a_table_are_left_out_whole(self, dlcli: Command, shapes: Path, mixed: Path) -> None:
        names = ["circle/cut.jpg", "circle/000.jpg", "nowhere.jpg", "square/000.jpg"]
        Path("mixed/a.csv").write_text("path,note\n" + "".join(f"{name},{n}\n" for n, name in enumerate(names)))
        outcome = dlcli("predict", shapes, "mixed/a.csv")
        assert outcome.code == 3
        assert "mixed/a.csv, line 4: there is no file mixed/nowhere.jpg" in outcome.lines[-1]
        outcome = dlcli("predict", shapes, "mixed/a.csv", "--skip-bad")
        assert [row["note"] for row in read_csv(outcome.out)] == ["1", "3"], outcome.err
        assert "2 bad pictures are left out" in outcome.err

    def test_evaluate_and_compare_count_them(self, dlcli: Command, shapes: Path, mixed: Path) -> None:
        flags = ("--skip-bad", "--no-baselines")
        outcome = dlcli("evaluate", shapes, mixed, *flags, "--json")
        assert outcome.code == 0, outcome.err
        result = json.loads(outcome.out)
        assert (result["n"], result["skipped"]) == (3, 5)
        assert "5 bad pictures are left out" in outcome.err
        assert "items  3, and 5 bad left out" in dlcli("evaluate", shapes, mixed, *flags).out
        shutil.copytree(shapes, "again")
        outcome = dlcli("compare", shapes, "again", "--on", mixed, "--skip-bad", "--json")
        assert outcome.code == 0, outcome.err
        assert (json.loads(outcome.out)["n"], json.loads(outcome.out)["skipped"]) == (3, 5)

    def test_none_is_left(self, dlcli: Command, shapes: Path) -> None:
        Path("bad").mkdir()
        Path("bad/a.jpg").touch()
        outcome = dlcli("predict", shapes, "bad", "--skip-bad")
        assert outcome.code == 3
        assert "bad has no picture that can be used" in outcome.lines[-1]


def test_the_export_takes_pictures_of_every_kind(dlcli: Command, shapes: Path) -> None:
    """Rotated by EXIF, CMYK, 16 bits, transparent: the SavedModel decodes them as the run does."""
    Path("odd").mkdir()
    odd = {
        "turned.jpg": encode(picture(), "jpeg", exif=exif(6)),
        "mirrored.jpg": encode(picture(), "jpeg", exif=exif(4)),
        "cmyk.jpg": encode(picture("CMYK"), "jpeg"),
        "gray.jpg": encode(picture("L"), "jpeg"),
        "palette.png": encode(picture("P"), "png"),
        "transparent.png": encode(picture("RGBA"), "png"),
        "deep.png": deep_png(scene()[:, :, :3].astype(np.uint16) * 257, 2),
        "a.bmp": encode(picture(), "bmp"),
        "a.gif": encode(picture("P"), "gif"),
        "a.webp": encode(picture(), "webp"),
    }
    for name, data in odd.items():
        (Path("odd") / name).write_bytes(data)
    outcome = dlcli("export", shapes, "--out", "served", "--verify", "64", "--verify-data", "odd", "--json")
    assert outcome.code == 0, outcome.err
    result = json.loads(outcome.out)
    assert result["verified"] == len(odd)
    assert result["largest_difference"] < 1e-6

    from dlcli.core.backend import tf

    served = tf.saved_model.load("served").signatures["serving_default"]
    upright = io.BytesIO()
    Image.open(io.BytesIO(odd["turned.jpg"])).transpose(Image.Transpose.ROTATE_270).save(upright, "PNG")
    answers = served(image=tf.constant([odd["turned.jpg"], upright.getvalue()]))["probabilities"].numpy()
    np.testing.assert_allclose(answers[0], answers[1], atol=2e-2)


class TestBadPictures:
    @pytest.fixture
    def folder(self, digits: tuple[Path, Path]) -> Path:
        """Return a folder of two classes, ten pictures each."""
        for name in "01":
            Path("data", name).mkdir(parents=True)
            for file in sorted((digits[0] / name).iterdir())[:10]:
                shutil.copy(file, Path("data", name))
        return Path("data")

    @pytest.mark.parametrize(
        ("name", "content", "words"),
        [
            ("empty.png", b"", "empty.png"),
            ("page.jpg", b"<html><body>404</body></html>", "page.jpg"),
            ("short.png", b"\x89PNG\r\n\x1a\n\x00\x00", "short.png"),
            ("cut.jpg", (SHAPES / "circle" / "000.jpg").read_bytes()[:500], "cut.jpg"),
        ],
    )
    def test_they_are_named_or_left_out(
        self, dlcli: Command, folder: Path, name: str, content: bytes, words: str
    ) -> None:
        (folder / "1" / name).write_bytes(content)
        flags = ("--model", "linear", "--epochs", "1", "--image-size", "8", "--out", "o")
        outcome = dlcli("train-image", folder, *flags)
        assert outcome.code == 3, outcome.err
        assert words in outcome.lines[-1]
        assert not Path("o").exists()
        outcome = dlcli("train-image", folder, *flags, "--skip-bad")
        assert outcome.code == 0, outcome.err
        assert "1 bad files are left out" in outcome.err
        (skipped,) = [json.loads(line) for line in Path("o/skipped.jsonl").read_text().splitlines()]
        assert skipped["file"].endswith(name)
        assert record(Path("o"))["data"]["training"] + record(Path("o"))["data"]["validation"] == 20

    def test_what_is_left_out_does_not_decide_on_size_and_colours(self, dlcli: Command, folder: Path) -> None:
        from dlcli.core.progress import Silent
        from dlcli.vision.config import ImageDataConfig
        from dlcli.vision.corpus import read_corpus

        (folder / "1" / "cut.jpg").write_bytes((SHAPES / "circle" / "000.jpg").read_bytes()[:500])
        how = {"val": None, "columns": ImageDataConfig(), "val_split": 0.2, "seed": 0, "progress": Silent()}
        corpus = read_corpus(folder, skip_bad=True, **how)
        assert [one["kind"] for one in corpus.skipped] == ["damaged"]
        assert corpus.settings == {"image_size": (8, 8), "color": "grayscale"}

    def test_one_that_breaks_while_it_is_trained_on(self, dlcli: Command, folder: Path) -> None:
        (folder / "1" / "cut.jpg").write_bytes((SHAPES / "circle" / "000.jpg").read_bytes()[:500])
        flags = ("--model", "linear", "--epochs", "1", "--image-size", "8", "--cache", "none", "--out", "o")
        outcome = dlcli("train-image", folder, *flags)
        assert outcome.code == 3, outcome.err
        assert "cut.jpg" in outcome.lines[-1]

    def test_many_are_counted_and_some_named(self, dlcli: Command, folder: Path) -> None:
        for number in range(12):
            (folder / "0" / f"bad-{number:02}.png").write_bytes(b"")
        outcome = dlcli("train-image", folder, "--out", "o")
        assert outcome.code == 3
        assert "12 pictures cannot be used" in outcome.err
        assert "bad-09.png" in outcome.err and "bad-10.png" not in outcome.err and "and 2 more" in outcome.err

    def test_validation_pictures_that_are_trained_on_too(self, dlcli: Command, folder: Path) -> None:
        flags = ("--model", "linear", "--epochs", "1", "--val", folder, "--out", "o")
        outcome = dlcli("train-image", folder, *flags)
        assert outcome.code == 0, outcome.err
        assert "20 of 20 validation pictures are in the training data too" in outcome.err

    def test_equal_pictures_stay_on_one_side(self, dlcli: Command, folder: Path) -> None:
        for name in "01":
            first, *others = sorted((folder / name).iterdir())
            for other in others[1:]:
                shutil.copy(first, other)
        outcome = dlcli("train-image", folder, "--model", "linear", "--epochs", "1", "--out", "o", "--json")
        assert outcome.code == 0, outcome.err
        assert json.loads(outcome.out)["items"]["validation"] in (2, 10, 18), "of each class the one, or the nine"

    @pytest.mark.parametrize(
        ("flags", "code", "words"),
        [
            ("--class-mode binary --loss hinge", 2, "--class-mode binary is --loss binary_crossentropy"),
            ("--mixup 0.2 --class-mode sparse", 2, "--mixup and --cutmix mix labels"),
            ("--image-size 0", 2, "expected sides from 1 to"),
            ("--image-size 10x20x30", 2, "expected a size such as 150"),
            ("--model mlp --filters 3", 2, "--filters does not go with --model mlp"),
            ("--val nowhere", 2, "nowhere does not exist"),
        ],
    )
    def test_settings_that_are_refused(self, dlcli: Command, folder: Path, flags: str, code: int, words: str) -> None:
        outcome = dlcli("train-image", folder, *flags.split(), "--out", "o")
        assert outcome.code == code, outcome.err
        assert words in outcome.lines[-1]
        assert not Path("o").exists()

    @pytest.mark.parametrize("form", ["--class-mode binary", "--loss binary_crossentropy"])
    def test_the_binary_forms_are_for_two_classes(self, dlcli: Command, form: str) -> None:
        outcome = dlcli("train-image", SHAPES, *form.split(), "--out", "o")
        assert outcome.code == 2
        assert f"{form} is for two classes" in outcome.lines[-1]
