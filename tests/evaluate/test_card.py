import pytest

from evaluate.card import escape_markdown, inline_code


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("<script>alert(1)</script>", r"\<script\>alert(1)\</script\>"),
        ("[click](javascript:alert(1))", r"\[click\](javascript:alert(1))"),
        ("a | b\n# heading", r"a \| b # heading"),
        ("`code` \\", r"\`code\` \\"),
        ("\x1b[2J", r"\\x1b\[2J"),
        ("batch_size 0.8 ± 0.1", "batch_size 0.8 ± 0.1"),
    ],
)
def test_what_a_store_or_run_brings_is_plain_text_in_a_card(text, escaped):
    assert escape_markdown(text) == escaped


def test_values_that_are_no_text_stay():
    assert escape_markdown(3.5) == 3.5


@pytest.mark.parametrize(
    ("text", "code"),
    [("runs/cnn", "`runs/cnn`"), ("a`b", r"a\`b"), ("a | <b>", r"a \| \<b\>"), ("", "``"), ("\x1b", r"\\x1b")],
)
def test_code_ends_where_its_text_ends(text, code):
    assert inline_code(text) == code
