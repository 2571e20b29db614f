"""helpers.show.source."""

import pytest

from helpers.show.source import source

JS = """\
const x = 1;

async function load(url) {
  if (url) {
    return x;
  }
}

function other() {
}
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "some.js"
    path.write_text(JS)
    return path


def hello(name):
    """Greet."""
    return f"<hello> {name}"


def test_a_python_function_is_shown_as_it_stands():
    """Its text for a terminal, coloured and escaped for the page."""
    shown = source(hello)
    assert 'return f"<hello> {name}"' in shown.text()
    assert "&lt;hello&gt;" in shown.html()
    assert "<hello>" not in shown.html()
    assert "background:#f8f8f8" in shown.html()  # readable on a dark page


def test_a_file_is_shown_whole(script):
    """Under its name, without its folder."""
    assert source(script).text() == f"Node.js: some.js\n\n{JS.rstrip()}"
    assert str(script.parent) not in source(script).html()


def test_a_function_of_a_file_is_shown_alone(script):
    """From its declaration to its closing brace."""
    text = source((script, "load")).text()
    assert text.endswith("}")
    assert "async function load" in text
    assert "other" not in text
    assert "const x" not in text


def test_two_stand_beside_each_other(script):
    """In the order given, each under its language."""
    text = source(hello, (script, "other")).text()
    assert text.index("Python: hello") < text.index("Node.js: other")


def test_a_function_that_is_not_there_is_named(script):
    """Rather than an empty box on the page."""
    with pytest.raises(ValueError, match=r"some\.js has no function 'missing'"):
        source((script, "missing"))
