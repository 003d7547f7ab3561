from __future__ import annotations

import pytest

from dlcli.results.report.escaping import code, escaped, fenced, table

NASTY = ["<script>alert(1)</script>", "a|b", "`x``y`", "[a](b) ![c](d)", "*a* _b_ ~c~", "line\nbreak", "@someone #12"]


@pytest.mark.parametrize("name", NASTY)
def test_a_name_stays_in_its_code_span_and_in_its_cell(name: str) -> None:
    span = code(name)
    fence = span[: len(span) - len(span.lstrip("`"))]
    assert span.endswith(fence) and fence not in span[len(fence) : -len(fence)] and "\n" not in span
    line = table(("a", "b"), [(span, "1")]).splitlines()[-1]
    assert line.replace("\\|", "").count("|") == 3


def test_text_has_no_markup_links_or_mentions() -> None:
    assert escaped("<b> *a* [x](y) `z` | & ~") == r"\<b\> \*a\* \[x\](y) \`z\` \| \& \~"
    assert escaped("see https://x.y") == r"see https\://x.y"
    assert escaped("@me #1") == "@\u200bme #\u200b1"


def test_marks_that_turn_the_direction_and_control_characters_are_gone() -> None:
    assert escaped("a\u202eb\x1b[31m\udcff") == r"a�b�\[31m�"
    assert code("\u2067x") == "`�x`"


def test_a_block_of_code_is_not_left() -> None:
    assert fenced("a ``` b") == "````\na ``` b\n````"
