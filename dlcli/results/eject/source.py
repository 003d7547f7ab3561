"""Python source taken from dlcli's own: a class or a function as a reader of a script wants it, with values filled in.

Nothing is described a second time: what the script does is what dlcli does.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Mapping
from typing import Any

# Methods that save a layer, which training does not need.
_OF_SAVING = ("get_config", "compute_output_shape")


def source_of(
    thing: Callable[..., Any] | type,
    *,
    values: Mapping[str, Any] | None = None,
    calls: Mapping[str, str | None] | None = None,
) -> str:
    """Return the source of a class or a function: without types, docstrings of methods, and what saves a layer.

    Args:
        thing: what; a class keeps the first line of its docstring.
        values: what stands in the place of names such as `_LIMIT`, `config.rate` and `self.mode`; parameters of that
            name go, and branches that are never taken.
        calls: expressions in the place of calls, by the name that is called; None for the first argument as it is.
    """
    tree: Any = ast.parse(textwrap.dedent(inspect.getsource(thing))).body[0]
    tree = _Plain(values or {}, calls or {}).visit(tree)
    if isinstance(tree, ast.ClassDef):
        _without_unused(tree)
    lines = ast.unparse(ast.fix_missing_locations(tree)).split("\n")
    return "\n".join(line for line in lines if line.strip())


class _Plain(ast.NodeTransformer):
    """Fills values in, and leaves out what only a library needs."""

    def __init__(self, values: Mapping[str, Any], calls: Mapping[str, str | None]) -> None:
        self.values = values
        self.calls = calls
        self._method = ""
        self._gone = {name.removeprefix("self.") for name in values} | {
            name.partition(".")[0] for name in values if not name.startswith("self.")
        }

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.decorator_list = []
        node.body = [part for part in node.body if getattr(part, "name", "") not in _OF_SAVING]
        summary = (ast.get_docstring(node) or "").split("\n")[0]
        _without_docstring(node)
        self.generic_visit(node)
        node.body.insert(0, ast.Expr(ast.Constant(summary)))
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.decorator_list, node.returns = [], None
        self._method = node.name
        _without_docstring(node)
        arguments = node.args
        arguments.args = [one for one in arguments.args if one.arg not in self._gone]
        kept = [
            pair
            for pair in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
            if pair[0].arg not in self._gone
        ]
        arguments.kwonlyargs, arguments.kw_defaults = [one for one, _ in kept], [default for _, default in kept]
        for one in [*arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]:
            if one is not None:
                one.annotation = None
        return self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> ast.AST | None:
        if any(ast.unparse(target) in self.values for target in node.targets):
            return None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        assert node.value is not None
        return self.visit_Assign(ast.Assign([node.target], node.value, lineno=node.lineno))

    def visit_Call(self, node: ast.Call) -> ast.AST:
        name = ast.unparse(node.func)
        if name in self.calls:
            written = self.calls[name]
            return self.visit(node.args[0]) if written is None else ast.parse(written, mode="eval").body
        return self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        # A parameter that went is filled in where `__init__` read it; elsewhere the name is another variable's.
        for name in (node.id, *([f"self.{node.id}"] if self._method == "__init__" else [])):
            if name in self.values and isinstance(node.ctx, ast.Load):
                return ast.Constant(self.values[name])
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        name = ast.unparse(node)
        return ast.Constant(self.values[name]) if name in self.values else self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        """Write out `value or default` and `value and more`, where a value is known."""
        self.generic_visit(node)
        wanted = isinstance(node.op, ast.Or)
        known = [bool(one.value) for one in node.values if isinstance(one, ast.Constant)]
        if any(one == wanted for one in known[:1]) and isinstance(node.values[0], ast.Constant):
            return node.values[0]
        if not wanted and False in known:
            return ast.Constant(False)
        kept = [one for one in node.values[:-1] if not isinstance(one, ast.Constant)] + node.values[-1:]
        node.values = kept
        return node if len(kept) > 1 else kept[0]

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        sides = [node.left, *node.comparators]
        if all(isinstance(one, ast.Constant) for one in sides) and isinstance(node.ops[0], ast.Eq):
            return ast.Constant(sides[0].value == sides[1].value)  # type: ignore[attr-defined]
        return node

    def visit_keyword(self, node: ast.keyword) -> ast.AST | None:
        """Leave out `regularizer=None`."""
        self.generic_visit(node)
        usual = node.arg == "regularizer" and isinstance(node.value, ast.Constant) and node.value.value is None
        return None if usual else node

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.test, ast.Constant):
            return node.body if node.test.value else node.orelse
        return node

    def visit_If(self, node: ast.If) -> Any:
        self.generic_visit(node)
        if isinstance(node.test, ast.Constant):
            return node.body if node.test.value else node.orelse or None
        return node


def _without_docstring(node: ast.ClassDef | ast.FunctionDef) -> None:
    if ast.get_docstring(node) is not None:
        node.body = node.body[1:] or [ast.Pass()]


def _without_unused(tree: ast.ClassDef) -> None:
    """Drop attributes that are set and never read, statements behind a return, and an `__init__` that does nothing."""
    read = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load) and ast.unparse(node.value) == "self"
    }
    for method in [part for part in tree.body if isinstance(part, ast.FunctionDef)]:
        end = next((n for n, part in enumerate(method.body) if isinstance(part, ast.Return)), len(method.body))
        method.body = [
            part
            for part in method.body[: end + 1]
            if not (
                isinstance(part, ast.Assign)
                and isinstance(part.targets[0], ast.Attribute)
                and part.targets[0].attr not in read
                and "add_weight" not in ast.unparse(part.value)
            )
        ]
        if method.name == "__init__" and len(method.body) == 1:
            tree.body.remove(method)
