"""Explanations of pictures: a planted patch is found, gradients add up, and weights matter."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Outcome, call
from PIL import Image
from scipy.stats import spearmanr

from dlcli.errors import UsageError
from dlcli.results.explain import METHODS, PictureExplanation, Settings, explainer, fragment
from dlcli.results.explain.overlays import as_jpeg, draw, panes, strengths

SIDE, PATCH = 20, 5
COLOURS = {"blue": (20, 40, 230), "red": (230, 40, 20)}


def picture(random: np.random.Generator, colour: str) -> tuple[np.ndarray[Any, Any], tuple[int, int]]:
    """Return grey noise with a patch of a colour in it, and the patch's corner."""
    pixels = np.repeat(random.integers(70, 190, (SIDE, SIDE, 1)), 3, axis=2).astype(np.uint8)
    top, left = random.integers(0, SIDE - PATCH, 2).tolist()
    pixels[top : top + PATCH, left : left + PATCH] = COLOURS[colour]
    return pixels, (top, left)


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str], list[tuple[int, int]]]:
    """Return a run on pictures in which the colour of a patch decides; some pictures, and where their patch is."""
    folder, random = tmp_path_factory.mktemp("planted"), np.random.default_rng(7)
    files, corners = [], []
    for number in range(160):
        colour = ("blue", "red")[number % 2]
        pixels, corner = picture(random, colour)
        path = folder / "data" / colour / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
        files.append(str(path))
        corners.append(corner)
    flags = (
        "--model",
        "cnn",
        "--filters",
        "8,8",
        "--pooling",
        "max",
        "--epochs",
        "12",
        "--lr",
        "0.01",
        "--batch-size",
        "16",
    )
    outcome = call("train-image", folder / "data", *flags, "--lr", "0.01", "--out", folder / "run")
    assert outcome.code == 0, outcome.err
    return folder / "run", files[:4], corners[:4]


def predictor_of(run: Path) -> Any:
    from dlcli.serving.predictor import Predictor

    return Predictor(run)


def inside(corner: tuple[int, int]) -> np.ndarray[Any, Any]:
    """Return which pixels belong to a patch, and to the ring of one pixel around it, which convolutions see it from."""
    found = np.zeros((SIDE, SIDE), bool)
    top, left = corner
    found[max(0, top - 1) : top + PATCH + 1, max(0, left - 1) : left + PATCH + 1] = True
    return found


@pytest.mark.parametrize("method", METHODS["image"])
def test_a_planted_patch_is_found(planted: tuple[Path, list[str], list[tuple[int, int]]], method: str) -> None:
    run, files, corners = planted
    explained = explainer(predictor_of(run), method=method)(files)
    for found, file, corner in zip(explained, files, corners, strict=True):
        assert (found.item, found.target, found.method) == (file, Path(file).parent.name, method)
        assert (found.pixels.dtype, found.heat.dtype) == (np.uint8, np.float32)
        assert found.heat.shape == found.pixels.shape[:2] == (SIDE, SIDE)
        np.testing.assert_array_equal(found.pixels, np.asarray(Image.open(file)))
        assert found.logit == pytest.approx(math.log(found.probability / (1 - found.probability)), abs=0.05)
        patch = inside(corner)
        assert found.heat[patch].mean() > 2 * abs(found.heat[~patch].mean())
        assert patch.flat[np.argmax(found.heat)]
        assert found.signed == (method in ("integrated", "occlusion"))
        assert found.signed or found.heat.min() >= 0


def test_integrated_gradients_sum_to_the_difference(planted: tuple[Path, list[str], list[Any]]) -> None:
    predictor = predictor_of(planted[0])
    for baseline, value in (("black", 0), ("gray", 127.5), ("white", 255)):
        explain = explainer(predictor, method="integrated", settings=Settings(baseline=baseline))
        for target in (0, 1):
            (found,) = explain(planted[1][:1], [target])
            assert found.start is not None
            difference = found.logit - found.start
            assert found.heat.sum() == pytest.approx(difference, abs=0.01 * max(1.0, abs(difference)) + 1e-4)
            # What the model itself says of the baseline.
            empty = np.full((1, SIDE, SIDE, 3), round(value), np.uint8)
            outputs = np.asarray(predictor.model(empty))[0]
            assert found.start == pytest.approx(math.log(outputs[target] / outputs[1 - target]), abs=0.1)


def test_the_gradient_is_that_of_the_pixels(planted: tuple[Path, list[str], list[Any]]) -> None:
    """Against differences, on pixels that are no whole numbers."""
    from dlcli.results.explain.pictures import PictureExplainer

    found = PictureExplainer(predictor_of(planted[0]), Settings(method="gradient"))
    # In the patch, whose pixels are equal, a pooling has several largest ones, and no gradient.
    pixels = np.random.default_rng(1).uniform(0, 255, (SIDE, SIDE, 3)).astype(np.float32)
    gradient = found.gradients.of(0)
    _, (analytic,) = gradient(pixels[np.newaxis])
    place = np.unravel_index(np.abs(analytic).argmax(), analytic.shape)
    moved = np.stack([pixels, pixels])
    moved[(0, *place)] += 0.1
    moved[(1, *place)] -= 0.1
    high, low = gradient(moved)[0]
    assert analytic[place] == pytest.approx((high - low) / 0.2, rel=0.05)


@pytest.mark.parametrize("method", METHODS["image"])
def test_explanations_change_with_the_weights(planted: tuple[Path, list[str], list[Any]], method: str) -> None:
    """Adebayo et al. 2018, "Sanity Checks for Saliency Maps": of random weights they must not be alike."""
    predictor = predictor_of(planted[0])
    before = explainer(predictor, method=method)(planted[1], [0] * 4)
    random = np.random.default_rng(11)
    predictor.model.set_weights([random.normal(0, 0.3, w.shape) for w in predictor.model.get_weights()])
    after = explainer(predictor, method=method)(planted[1], [0] * 4)
    # A heat of zeros alone, as Grad-CAM's may become, has no ranks.
    pairs = [(a.heat.ravel(), b.heat.ravel()) for a, b in zip(before, after, strict=True) if b.heat.any()]
    assert np.mean([abs(spearmanr(*pair).statistic) for pair in pairs] or [0]) < 0.5


def test_noise_is_a_function_of_the_seed_alone(planted: tuple[Path, list[str], list[Any]]) -> None:
    predictor, files = predictor_of(planted[0]), planted[1]
    heats = [
        explainer(predictor, method="gradient", settings=Settings(seed=seed))(items)[-1].heat
        for seed, items in ((1, files[:1]), (1, files[2::-1]), (2, files[:1]))
    ]
    np.testing.assert_array_equal(heats[0], heats[1])
    assert not np.array_equal(heats[0], heats[2])


def test_windows_cover_the_whole_picture(planted: tuple[Path, list[str], list[Any]]) -> None:
    predictor = predictor_of(planted[0])
    for window, stride in ((7, 6), (SIDE, None), (500, 3), (1, 5)):
        explain = explainer(predictor, method="occlusion", settings=Settings(window=window, stride=stride))
        (found,) = explain(planted[1][:1])
        # Where all is covered by one window the same is said of every pixel.
        assert (len(np.unique(found.heat)) == 1) == (window >= SIDE)
        assert found.heat[-1].any() or window == 1


def test_maps_of_a_layer_by_name(planted: tuple[Path, list[str], list[Any]]) -> None:
    predictor = predictor_of(planted[0])
    by_name = {
        name: explainer(predictor, settings=Settings(layer=name))(planted[1][:1])[0] for name in ("conv_1", "conv_2")
    }
    (found,) = explainer(predictor)(planted[1][:1])
    assert found.method == "gradcam"
    np.testing.assert_array_equal(found.heat, by_name["conv_2"].heat)
    assert not np.allclose(found.heat, by_name["conv_1"].heat)
    for name, words in (
        ("conv_9", "no layer 'conv_9' with feature maps. Did you mean"),
        ("flatten", "no layer 'flatten'"),
        ("rescale", "no layer 'rescale' with feature maps"),
    ):
        with pytest.raises(UsageError, match=words):
            explainer(predictor, settings=Settings(layer=name))
    with pytest.raises(UsageError, match="a layer is for the method gradcam, not for occlusion"):
        explainer(predictor, method="occlusion", settings=Settings(layer="conv_1"))
    with pytest.raises(UsageError, match="the method exact is not for pictures"):
        explainer(predictor, method="exact")


def stand_in(model: Any, shape: tuple[int, int, int]) -> Any:
    """Return what the explainer needs to know of a predictor."""

    class Pipeline:
        input_name = "image"

        def __init__(self) -> None:
            self.shape = shape

    class Answers:
        def __init__(self) -> None:
            self.model, self.pipeline = model, Pipeline()

    return Answers()


@pytest.mark.parametrize("name", ["linear", "mlp", "cnn", "cnn-bn", "resnet", "rnn"])
def test_every_model_has_logits_and_a_method(name: str) -> None:
    from dlcli.results.explain.logits import to_logits
    from dlcli.results.explain.pictures import PictureExplainer
    from dlcli.vision import models
    from dlcli.vision.model_config import ImageModelConfig

    model = models.build(ImageModelConfig(model=name), height=16, width=12, channels=1, classes=3, seed=1)
    pixels = np.random.default_rng(2).integers(0, 256, (5, 16, 12, 1)).astype(np.uint8)
    outputs = np.asarray(model(pixels))
    logs = np.log(outputs)
    np.testing.assert_allclose(to_logits(model)(pixels), 1.5 * (logs - logs.mean(axis=1, keepdims=True)), atol=2e-4)
    found = PictureExplainer(stand_in(model, (16, 12, 1)), Settings())
    mapped = name in ("cnn", "cnn-bn", "resnet")
    assert found.method == ("gradcam" if mapped else "integrated")
    np.testing.assert_allclose(found.model(pixels.astype(np.float32)), to_logits(model)(pixels), atol=1e-5)
    if not mapped:
        with pytest.raises(UsageError, match=r"has none\. Use one of gradient, integrated, occlusion"):
            PictureExplainer(stand_in(model, (16, 12, 1)), Settings(method="gradcam"))


def test_models_in_16_bits_are_explained_in_32() -> None:
    from dlcli.core.backend import keras
    from dlcli.results.explain.logits import to_logits
    from dlcli.vision import models
    from dlcli.vision.model_config import ImageModelConfig

    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = models.build(ImageModelConfig(model="cnn-bn"), height=16, width=16, channels=3, classes=2, seed=1)
    finally:
        keras.config.set_dtype_policy("float32")
    found = to_logits(model)
    assert {layer.compute_dtype for layer in found.layers} == {"float32"}
    pixels = np.random.default_rng(2).integers(0, 256, (3, 16, 16, 3)).astype(np.uint8)
    logs = np.log(np.asarray(model(pixels)))
    np.testing.assert_allclose(np.asarray(found(pixels))[:, 0], logs[:, 0] - logs[:, 1], atol=0.1)


def test_scores_are_explained_as_they_are() -> None:
    from dlcli.core.backend import keras
    from dlcli.errors import ModelError
    from dlcli.results.explain.logits import to_logits

    inputs = keras.Input((4,))
    scores = keras.Model(inputs, keras.layers.Dense(3, name="classes")(inputs))
    rows = np.ones((2, 4), np.float32)
    np.testing.assert_array_equal(to_logits(scores)(rows), scores(rows))
    odd = keras.Model(inputs, keras.layers.Dense(3, activation="sigmoid", name="classes")(inputs))
    with pytest.raises(ModelError, match="the model ends in 'classes', which is neither a softmax nor scores"):
        to_logits(odd)


# What it looks like.


def explanation(heat: Any, *, side: int = 8, channels: int = 3) -> PictureExplanation:
    pixels = np.full((side, side, channels), 200, np.uint8)
    heat = np.broadcast_to(np.asarray(heat, np.float32), (side, side))
    return PictureExplanation(
        item="a/<b>.png",
        target="<i>",
        probability=0.5,
        method="occlusion",
        pixels=pixels,
        heat=heat,
        signed=True,
        logit=0.0,
    )


def test_what_speaks_for_a_class_is_warm_and_against_it_cold() -> None:
    heat = np.zeros((8, 8))
    heat[:4], heat[4:, :4] = 2.0, -1.0
    both = np.asarray(panes(explanation(heat), side=80), np.int64)
    assert both.shape == (80, 172, 3)
    warm, cold, neither = both[10, 100], both[70, 100], both[70, 160]
    assert warm[0] > warm[2] + 100 and cold[2] > cold[0] + 50 and np.ptp(neither) <= 1
    np.testing.assert_array_equal(both[40, 40], [200, 200, 200])
    assert strengths(heat).max() == 1 and strengths(heat).min() == -0.5
    assert not strengths(np.zeros((3, 3))).any()


def test_a_picture_on_a_page_is_small_and_its_name_inert() -> None:
    random = np.random.default_rng(1)
    noisy = explanation(random.normal(size=(300, 300)), side=300)
    noisy.pixels[:] = random.integers(0, 256, noisy.pixels.shape)
    content, size = as_jpeg(noisy)
    assert len(content) <= 40_000 and Image.open(io.BytesIO(content)).size == size
    html = str(fragment(explanation(1.0, channels=1)))
    assert "<i>&lt;" not in html and "&lt;i&gt;" in html and 'alt="&lt;b&gt;.png as' in html
    data = html.split("base64,")[1].split('"')[0]
    assert Image.open(io.BytesIO(base64.b64decode(data))).format == "JPEG"


def test_pictures_stand_under_one_another(dlcli: Callable[..., Outcome]) -> None:
    draw([explanation(1.0), explanation(-1.0, side=12)], Path("a.png"))
    one, two = Image.open("a.png"), None
    draw([explanation(1.0)], Path("b.png"))
    two = Image.open("b.png")
    assert one.width == two.width and one.height > 1.7 * two.height
