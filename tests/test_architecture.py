"""DESIGN's table of arrows, and the house rules that a parser can see."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "dlcli"
FILES = {path.relative_to(PACKAGE).as_posix(): path for path in sorted(PACKAGE.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text(encoding="utf-8"), name) for name, path in FILES.items()}

# What each part of the house may import of the others; the top layer's modules may import one another.
CORE = {"core"}
DOMAINS = CORE | {"text", "vision"}
SERVING = DOMAINS | {"serving"}
RESULTS = SERVING | {"results"}
VERBS = RESULTS | {"verbs"}
TOP = VERBS | {"cli", "options", "console", "recipes"}
ALLOWED = {
    "core": CORE,
    "text": CORE | {"text"},
    "vision": CORE | {"vision"},
    "serving": SERVING,
    "results": RESULTS,
    "verbs": VERBS,
    "cli": TOP,
    "options": TOP,
    "console": TOP,
    "recipes": TOP,
    "errors": set(),
    "resources": set(),
    "datasets": set(),
    "__init__": set(),
    "__main__": {"cli"},
}
EVERYBODYS = {"errors", "resources", "datasets", "__init__"}
# A recipe is run by a verb, `dlcli run`, and is itself a client of the verbs: the one arrow upwards, taken at run time.
UPWARDS = {("verbs/run.py", "recipes")}


def module_of(name: str) -> str:
    return "dlcli." + name.removesuffix(".py").replace("/", ".").removesuffix(".__init__")


def part_of(name: str) -> str:
    """Return the folder or top module of a file or of a dotted module below `dlcli`."""
    return name.removesuffix(".py").replace("/", ".").split(".")[0] or "__init__"


def imported_parts(tree: ast.Module) -> Iterator[tuple[str, ast.stmt]]:
    """Yield the parts of dlcli that a module imports, inside functions and under TYPE_CHECKING too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((part_of(a.name[6:]), node) for a in node.names if a.name.split(".")[0] == "dlcli")
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import"
            module = node.module or ""
            if module == "dlcli":
                names = [a.name for a in node.names]
                known = {part_of(name) for name in FILES}
                yield from ((name if name in known else "__init__", node) for name in names)
            elif module.startswith("dlcli."):
                yield part_of(module[6:]), node


def calls(tree: ast.Module) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def test_every_part_of_the_house_has_its_line_in_the_table() -> None:
    assert {part_of(name) for name in FILES} <= ALLOWED.keys()


@pytest.mark.parametrize("name", FILES)
def test_arrows_point_one_way_only(name: str) -> None:
    allowed = ALLOWED[part_of(name)] | EVERYBODYS
    wrong = [
        f"line {node.lineno} imports {part}"
        for part, node in imported_parts(TREES[name])
        if part not in allowed and (name, part) not in UPWARDS
    ]
    assert not wrong, f"dlcli/{name}: {wrong}"


def test_the_one_arrow_upwards_is_inside_a_function() -> None:
    top = [node for node in TREES["verbs/run.py"].body if isinstance(node, (ast.Import, ast.ImportFrom))]
    assert "recipes" not in {part for node in top for part, _ in imported_parts(ast.Module([node], []))}
    assert "recipes" in {part for part, _ in imported_parts(TREES["verbs/run.py"])}


def test_modules_are_looked_up_by_name_in_two_places_only() -> None:
    """An import that the walk above cannot see: the verbs are lazy, and a run names its domain."""
    dynamic = {
        (name, ast.unparse(call.args[0]))
        for name, tree in TREES.items()
        for call in calls(tree)
        if ast.unparse(call.func) in ("importlib.import_module", "import_module", "__import__")
    }
    assert {name for name, _ in dynamic} == {"verbs/__init__.py", "serving/predictor.py"}
    assert all(target[2:].startswith(("dlcli.verbs.", "dlcli.{self.record.domain}")) for _, target in dynamic), dynamic


# A program of its own, that an export carries: it must need nothing of ours.
RUNNER = "serving/runner.py"


def test_the_runner_of_an_export_needs_no_dlcli_and_no_tensorflow() -> None:
    allowed = {"numpy", "PIL", "onnxruntime", "ai_edge_litert", "keras", *sys.stdlib_module_names}
    assert top_packages(TREES[RUNNER]) <= allowed


@pytest.mark.parametrize("name", sorted(FILES.keys() - {"__main__.py", "cli.py", "console.py", RUNNER}))
def test_nothing_below_the_command_line_prints(name: str) -> None:
    """A verb's `write(stream)` writes to what it is given; two modules of the core keep C libraries quiet."""
    streams = {"stdout", "__stdout__", "__stderr__"} | (
        set() if name in ("core/backend.py", "core/quiet.py") else {"stderr"}
    )
    found = [
        f"line {node.lineno}: {ast.unparse(node)}"
        for node in ast.walk(TREES[name])
        if (isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "pprint", "click.echo", "os.write"))
        or (isinstance(node, ast.Attribute) and ast.unparse(node.value) == "sys" and node.attr in streams)
        or (isinstance(node, ast.ImportFrom) and node.module == "sys" and streams & {a.name for a in node.names})
    ]
    assert not found, f"dlcli/{name}: {found}"


def top_packages(tree: ast.AST) -> set[str]:
    modules = [a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names]
    modules += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return {module.split(".")[0] for module in modules}


def test_click_is_known_to_the_command_line_alone() -> None:
    assert {name for name, tree in TREES.items() if "click" in top_packages(tree)} == {"cli.py", "options.py"}


def test_tensorflow_comes_through_one_module() -> None:
    users = {name for name, tree in TREES.items() if {"tensorflow", "keras"} & top_packages(tree)} - {RUNNER}
    # TensorFlow does not export the format of SavedModels under a name of its own.
    assert users == {"core/backend.py", "serving/saved_models.py"}


def test_models_are_fitted_in_one_place() -> None:
    """`domain.fit` learns a pipeline and builds a model; it trains nothing. The baseline is scikit-learn's."""
    training = {"fit", "train_on_batch", "train_step", "GradientTape", "apply_gradients"}
    found = {
        (name, ast.unparse(call.func))
        for name, tree in TREES.items()
        for call in calls(tree)
        if isinstance(call.func, ast.Attribute) and call.func.attr in training
    }
    assert found == {
        ("core/fit.py", "model.fit"),
        ("verbs/shared/training.py", "domain.fit"),
        ("results/regression.py", "LogisticRegression(max_iter=200).fit"),
        ("results/explain/logits.py", "tf.GradientTape"),  # Gradients at the inputs; no weight changes.
        ("results/inspection/ascent.py", "tf.GradientTape"),  # Of pictures; no weight changes.
    }


@pytest.mark.parametrize("name", [name for name in FILES if name in ("text/models.py", "vision/models.py")])
def test_models_hold_no_tensorflow_op(name: str) -> None:
    names = {node.id for node in ast.walk(TREES[name]) if isinstance(node, ast.Name)}
    imported = {a.name for n in ast.walk(TREES[name]) if isinstance(n, ast.ImportFrom) for a in n.names}
    assert not {"tf", "tensorflow"} & (names | imported)


def imported_at_once(name: str) -> set[str]:
    """Return the files of dlcli that a module imports when it is imported itself: not in functions, not for types."""
    modules = set()
    for node in TREES[name].body:
        if isinstance(node, ast.ImportFrom) and node.module:
            modules |= {node.module, *(f"{node.module}.{a.name}" for a in node.names)}
        elif isinstance(node, ast.Import):
            modules |= {a.name for a in node.names}
    return {file for file in FILES if module_of(file) in modules}


def reaching(file: str) -> set[str]:
    """Return the modules that import a file, directly or through others."""
    direct = {name: imported_at_once(name) for name in FILES}
    found: set[str] = {file}
    while more := {name for name, files in direct.items() if files & found} - found:
        found |= more
    return found


# What imports TensorFlow when it is imported: seconds each.
HEAVY = reaching("core/backend.py")
LIGHT = sorted(FILES.keys() - HEAVY)


def problems_of_imports(modules: list[str], kept: str) -> str:
    """Import modules one by one in a fresh process, with warnings as errors; return what went wrong.

    In one process for time: all of dlcli but `kept` is forgotten between imports.
    """
    code = f"""
import importlib, sys
import {kept}
print(*(name for name in ("sklearn", "scipy", "matplotlib", "pandas") if name in sys.modules), end="")
kept = {{".".join("{kept}".split(".")[:n]) for n in (1, 2, 3)}}
for module in {modules}:
    for name in [name for name in sys.modules if name.split(".")[0] == "dlcli" and name not in kept]:
        del sys.modules[name]
    try:
        importlib.import_module(module)
    except BaseException as error:
        print(module, repr(error))
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    return done.stdout + done.stderr if done.returncode == 0 else f"exit code {done.returncode}: {done.stderr}"


def test_each_light_module_imports_alone() -> None:
    assert not problems_of_imports([module_of(name) for name in LIGHT if name != "__init__.py"], "dlcli")


def test_each_heavy_module_imports_alone() -> None:
    modules = sorted(module_of(name) for name in HEAVY & FILES.keys() - {"core/backend.py"})
    assert not problems_of_imports(modules, "dlcli.core.backend")


def test_help_and_bad_input_wait_for_no_heavy_package() -> None:
    """Verbs, options and readers import no TensorFlow; what help needs imports no NumPy and no pandas either."""
    settings = ("text/config.py", "vision/config.py", "vision/model_config.py", "vision/augmentation/config.py")
    readers = ("text/read.py", "vision/read.py", "vision/headers.py", "vision/walk.py")
    verbs = [name for name in FILES if name.startswith("verbs/") or ("/" not in name and name != "__main__.py")]
    without_numpy = sorted([*verbs, *settings, *readers])
    assert not HEAVY & set(without_numpy)
    code = f"""
import importlib, sys
for module, heavy in {[(module_of(name), ["tensorflow", "keras", "numpy", "pandas"]) for name in without_numpy]}:
    importlib.import_module(module)
    print(*(f"{{module}} imports {{name}}" for name in heavy if name in sys.modules), end="")
for module in {[module_of(name) for name in LIGHT if name != "__main__.py"]}:
    importlib.import_module(module)
    print(f"{{module}} imports tensorflow" if "tensorflow" in sys.modules else "", end="")
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
