"""What pictures of a training show: the history's numbers, the best epoch, any name, equal bytes for equal input."""

from __future__ import annotations

import errno
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dlcli.core import panels, plots
from dlcli.core.panels import shorten, spread
from dlcli.core.scales import epochs, linear, logarithmic, scale, short
from dlcli.errors import DiskFullError

NAN = math.nan


def history(count: int, **more: Any) -> list[dict[str, Any]]:
    return [
        {
            "epoch": epoch,
            "loss": 1 / epoch,
            "accuracy": 1 - 0.5 / epoch,
            "val_loss": 1.2 / epoch,
            "val_accuracy": 1 - 0.6 / epoch,
            "learning_rate": 0.02 / epoch,
            "weight_norm": 30.0 + epoch,
            "gradient_norm": 3 / epoch,
            "step_ms": 3.2,
            "seconds": 1.5,
            **more,
        }
        for epoch in range(1, count + 1)
    ]


def curves(axes: Any) -> dict[str, list[tuple[float, float]]]:
    """Return the lines of a panel by name, without marks and the strokes that lead to names."""
    return {
        line.get_label(): [tuple(point) for point in line.get_xydata().tolist()]
        for line in axes.lines
        if line.get_gid() is None and line.get_transform() == axes.transData
    }


def texts(drawn: Any) -> list[str]:
    return [text.get_text() for text in drawn.texts]


def marked(axes: Any, gid: str) -> list[tuple[float, float]]:
    return [tuple(point) for line in axes.lines if line.get_gid() == gid for point in line.get_xydata().tolist()]


def names(axes: Any) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_the_curves_are_the_history() -> None:
    drawn = plots.training_figures(history(4), best_epoch=3, monitor="val_accuracy")
    assert list(drawn) == ["learning-curves.png", "learning-rate.png", "norms.png"]
    losses, accuracies = drawn["learning-curves.png"].axes
    assert curves(losses) == {
        "training": [(1, 1), (2, 1 / 2), (3, 1 / 3), (4, 1 / 4)],
        "validation": [(1, 1.2), (2, 0.6), (3, 1.2 / 3), (4, 0.3)],
    }
    assert curves(accuracies)["training"] == [(1, 0.5), (2, 0.75), (3, 1 - 0.5 / 3), (4, 0.875)]
    (rates,) = drawn["learning-rate.png"].axes
    assert list(curves(rates).values()) == [[(1, 0.02), (2, 0.01), (3, 0.02 / 3), (4, 0.005)]]
    weights, gradients = drawn["norms.png"].axes
    assert list(curves(weights).values()) == [[(1, 31), (2, 32), (3, 33), (4, 34)]]
    assert list(curves(gradients).values()) == [[(1, 3), (2, 1.5), (3, 1), (4, 0.75)]]


def test_the_best_epoch_is_marked_and_its_scores_said() -> None:
    drawn = plots.training_figures(history(4), best_epoch=3, monitor="val_accuracy")["learning-curves.png"]
    losses, accuracies = drawn.axes
    assert marked(losses, "ring") == [(3, 1.2 / 3)]
    assert marked(accuracies, "ring") == [(3, 0.8)]
    assert [x for x, _ in marked(losses, "guide")] == [3, 3]
    assert texts(drawn) == ["Loss", "best epoch 3: val_loss 0.4", "Accuracy", "best epoch 3, by val_accuracy 0.8"]


@pytest.mark.parametrize("best", [0, 9])
def test_an_epoch_that_is_not_there_is_not_marked(best: int) -> None:
    drawn = plots.training_figures(history(4), best_epoch=best, monitor="val_accuracy")["learning-curves.png"]
    assert texts(drawn) == ["Loss", "Accuracy"]
    assert [marked(axes, gid) for axes in drawn.axes for gid in ("ring", "guide")] == [[]] * 4


def test_other_scores_join_the_accuracy() -> None:
    records = history(2, val_auc=0.75, val_f1_macro=0.5, val_top=None)
    drawn = plots.training_figures(records, best_epoch=2, monitor="val_f1_macro")["learning-curves.png"]
    _, scores = drawn.axes
    assert set(curves(scores)) == {
        "accuracy, training",
        "accuracy, validation",
        "auc, validation",
        "f1_macro, validation",
    }
    assert marked(scores, "ring") == [(2, 0.5)]
    assert texts(drawn)[-1] == "best epoch 2, by val_f1_macro 0.5"
    assert len({line.get_color() for line in scores.lines if line.get_label() in curves(scores)}) == 4


@pytest.mark.parametrize("gap", [NAN, None, math.inf, "nothing"])
def test_what_is_no_number_leaves_a_gap_and_what_stands_alone_gets_a_dot(gap: object) -> None:
    records: list[dict[str, Any]] = history(40)
    for epoch in (10, 12):
        records[epoch - 1]["val_loss"] = gap
    losses, _ = plots.training_figures(records, best_epoch=12, monitor="val_loss")["learning-curves.png"].axes
    points = curves(losses)["validation"]
    assert [x for x, y in points if math.isnan(y)] == [10, 12]
    (line,) = (line for line in losses.lines if line.get_label() == "validation")
    assert line.get_markevery() == [10]
    assert marked(losses, "ring") == []


def test_few_epochs_have_dots(tmp_path: Path) -> None:
    losses, _ = plots.training_figures(history(1), best_epoch=1, monitor="val_loss")["learning-curves.png"].axes
    assert {line.get_marker() for line in losses.lines if line.get_label() in curves(losses)} == {"o"}
    assert list(losses.get_xticks()) == [1]
    assert losses.get_xlim() == (0.5, 1.5)


@pytest.mark.parametrize("records", [[], [{"epoch": 1, "loss": 0.5}], [{"epoch": 1}, {"epoch": 2, "loss": NAN}]])
def test_what_was_not_recorded_says_so(records: list[dict[str, Any]], tmp_path: Path) -> None:
    drawn = plots.training_figures(records, best_epoch=1, monitor="val_accuracy")
    assert all("not recorded" in names(axes) for axes in drawn["norms.png"].axes)
    plots.draw_training(records, best_epoch=1, monitor="val_accuracy", folder=tmp_path)


def test_the_learning_rate_is_logarithmic_beyond_a_factor_of_20() -> None:
    def axis(*rates: float) -> str:
        records = [{"epoch": i, "learning_rate": rate} for i, rate in enumerate(rates, start=1)]
        (axes,) = plots.training_figures(records, best_epoch=1, monitor="")["learning-rate.png"].axes
        return str(axes.get_yscale())

    assert axis(0.02, 0.001) == "linear"
    assert axis(0.02, 0.0009) == "log"
    assert axis(0.02, 0.0) == "linear"  # A logarithmic axis has no place for 0.


def test_the_three_pictures_are_written_and_equal_input_gives_equal_bytes(tmp_path: Path) -> None:
    def draw(name: str) -> dict[str, bytes]:
        (tmp_path / name).mkdir()
        plots.draw_training(history(8, val_auc=0.9), best_epoch=3, monitor="val_auc", folder=tmp_path / name)
        return {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}

    first = draw("a")
    assert sorted(first) == ["learning-curves.png", "learning-rate.png", "norms.png"]
    assert all(b"tEXt" not in content and b"tIME" not in content for content in first.values())
    assert all(len(content) < 40_000 for content in first.values())
    import matplotlib

    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "text.usetex": True, "savefig.dpi": 30}):
        assert draw("b") == first
        assert matplotlib.rcParams["font.size"] == 30
    with Image.open(tmp_path / "a" / "norms.png") as picture:
        assert picture.width > 2 * panels.WIDTH * panels.DPI
        assert picture.height == pytest.approx((panels.BOTTOM + panels.HEIGHT + panels.LOW_TOP) * panels.DPI, abs=1)
        assert picture.convert("RGB").getpixel((0, 0)) == (255, 255, 255)


def test_a_full_disk_is_said_and_leaves_the_old_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / "norms.png").write_bytes(b"old")
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(DiskFullError, match=r"the disk is full, while writing .*norms\.png"):
        plots.save(plots.training_figures(history(1), best_epoch=1, monitor="")["norms.png"], tmp_path / "norms.png")
    assert (tmp_path / "norms.png").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_runs_lie_over_one_another_under_any_name(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    runs = [
        "plain",
        "$x^2$ costs $\\frac{1}",
        "_hidden",
        "two\nlines \x1b[31m",
        "中文",
        "\udcff",
        "",
        "a" * 50 + "z" * 50,
    ]
    drawn = plots.histories_figure({name: history(3) for name in runs})
    (legend,) = drawn.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "plain",
        "$x^2$ costs $\\frac{1}",
        "_hidden",
        "two lines �[31m",
        "中文",
        "?",
        "",
        "a" * 16 + "…" + "z" * 15,
    ]
    assert not any(text.get_parse_math() for text in legend.get_texts())
    losses, accuracies = drawn.axes
    assert len(losses.lines) == len(accuracies.lines) == len(runs)
    assert losses.lines[1].get_xydata().tolist() == [[1, 1.2], [2, 0.6], [3, 1.2 / 3]]
    plots.draw_histories({name: history(3) for name in runs}, tmp_path / "runs.png")
    assert (tmp_path / "runs.png").read_bytes().startswith(b"\x89PNG")
    assert not recwarn.list


def test_the_first_eight_runs_differ_by_colour_and_more_by_line_too() -> None:
    losses, _ = plots.histories_figure({str(i): history(3) for i in range(20)}).axes
    looks = [(line.get_color(), line.get_linestyle()) for line in losses.lines]
    assert len({colour for colour, _ in looks[:8]}) == 8
    assert len(set(looks)) == 20


def test_no_runs_and_runs_of_other_lengths(tmp_path: Path) -> None:
    plots.draw_histories({}, tmp_path / "none.png")
    plots.draw_histories({"one": history(1), "long": history(200), "empty": []}, tmp_path / "some.png")
    losses, _ = plots.histories_figure({"one": history(1), "long": history(200)}).axes
    assert losses.get_xlim()[0] < 1 < 200 < losses.get_xlim()[1]


def test_the_range_test_marks_the_suggestion_and_cuts_the_tail(tmp_path: Path) -> None:
    rates = [10 ** (i / 10 - 5) for i in range(51)]
    smooth = [0.7 if i < 10 else 0.7 - 0.01 * (i - 10) if i < 40 else 0.4 * 3.0 ** (i - 39) for i in range(51)]
    losses = [*smooth[:-1], math.inf]
    drawn = plots.range_test_figure(rates, losses, smooth, suggestion=rates[25])
    (axes,) = drawn.axes
    assert curves(axes)["smoothed"] == list(zip(rates, smooth, strict=True))
    assert curves(axes)["each step"][:-1] == list(zip(rates, losses, strict=True))[:-1]
    assert marked(axes, "ring") == [(rates[25], smooth[25])]
    assert texts(drawn) == ["Loss while the learning rate rises", "suggested learning rate 0.00316"]
    assert axes.get_xscale() == "log"
    low, high = axes.get_ylim()
    assert low < min(smooth) and 0.7 < high < 1  # The last smoothed loss is 70,000.
    assert axes.get_xlim() == pytest.approx((1e-5, 1))
    plots.draw_range_test(rates, losses, smooth, suggestion=rates[25], path=tmp_path / "range.png")
    assert (tmp_path / "range.png").stat().st_size > 1000


@pytest.mark.parametrize("losses", [[0.7, 0.9, 50.0], [NAN, NAN, NAN], [0.5, 0.5, 0.5]])
def test_a_range_test_that_never_falls_is_drawn(losses: list[float], tmp_path: Path) -> None:
    plots.draw_range_test([0.0, 0.1, 1.0], losses, losses, suggestion=NAN, path=tmp_path / "range.png")
    (axes,) = plots.range_test_figure([0.0, 0.1, 1.0], losses, losses, suggestion=NAN).axes
    assert marked(axes, "guide") == []


@pytest.mark.parametrize("last", [1, 2, 3, 8, 12, 30, 200, 1000])
def test_epochs_are_whole_numbers_from_the_first(last: int) -> None:
    ticks = epochs([1.0, last]).ticks
    assert ticks[0] == 1
    assert all(tick == int(tick) for tick in ticks)
    assert 1 <= len(ticks) <= 10


def test_ticks_are_round_and_few() -> None:
    assert linear([0.08, 0.67]).ticks == pytest.approx([0.2, 0.4, 0.6])
    assert linear([0.0, 0.02], zero=True).ticks == pytest.approx([0, 0.005, 0.01, 0.015, 0.02])
    assert linear([1.0, 1.0], bounds=(0, 1)).ticks[-1] == pytest.approx(1)
    assert linear([1.0, 1.0], bounds=(0, 1)).high < 1.02
    assert logarithmic([1e-6, 10], tight=True).ticks == pytest.approx([10.0**n for n in range(-6, 2)])
    assert scale([1, 20], log_from=20).log is False
    assert scale([1, 21], log_from=20).log is True
    assert scale([1, 21], log_from=20).ticks == pytest.approx([1, 2, 5, 10, 20])
    for low, high in [(1e-12, 3e38), (-1e9, 1e9), (0.9999990, 0.9999991), (5, 5), (0, 0), (1, 1.01), (0.3, 0.9)]:
        for made in (linear([low, high]), *([logarithmic([low, high])] if low > 0 else [])):
            assert 2 <= len(made.ticks) <= 12, made
            assert made.low <= low <= high <= made.high
            assert len({short(tick) for tick in made.ticks}) == len(made.ticks)


def test_numbers_are_short() -> None:
    numbers = [0, 0.1 + 0.2, 25.0, 2e-5, 1.5e7, -0.001, 1e5, 3e38]
    assert [short(number) for number in numbers] == ["0", "0.3", "25", "2e-5", "1.5e7", "-0.001", "1e5", "3e38"]


def test_names_at_line_ends_keep_their_distance() -> None:
    assert spread([0.2, 0.5], gap=0.1) == [0.2, 0.5]
    assert spread([0.5, 0.5, 0.5], gap=0.1) == pytest.approx([0.5, 0.6, 0.7])
    assert spread([0.97, 0.98, 1.0], gap=0.1) == pytest.approx([0.8, 0.9, 1.0])
    assert shorten("a" * 32) == "a" * 32
    assert shorten("abcdefghij", 5) == "ab…ij"


def test_importing_the_module_waits_for_no_heavy_package() -> None:
    code = "import sys, dlcli.core.plots; print(*{'matplotlib', 'numpy', 'PIL', 'tensorflow'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"


def test_drawing_says_nothing_and_uses_no_pyplot(tmp_path: Path) -> None:
    """Nor where matplotlib finds no folder for its cache, as in a container without a home."""
    code = f"""
import sys
from pathlib import Path
from dlcli.core.plots import draw_histories
draw_histories({{"中": [{{"epoch": 1, "val_loss": 0.5}}]}}, Path({str(tmp_path / "x.png")!r}))
import matplotlib.artist
assert "matplotlib.pyplot" not in sys.modules and "tensorflow" not in sys.modules
assert matplotlib.artist.kwdoc(matplotlib.artist.Artist)
"""
    environment = {**os.environ, "MPLCONFIGDIR": os.devnull + "/none"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "x.png").exists()
