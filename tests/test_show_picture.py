"""helpers.show.picture"""

import pytest
from PIL import Image

from helpers.show.picture import Picture

WORDS = {
    "title": "A finding",
    "alt": "What is to be seen.",
    "label": "reference machine",
}


@pytest.fixture
def path(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "it.png")
    return tmp_path / "it.png"


def test_a_picture_is_shown_with_its_words(path):
    """The image with its alternative in a page, the words where there is none."""
    picture = Picture(path, width=100, **WORDS)
    assert "alt='What is to be seen.'" in picture.html()
    assert "data:image/png;base64," in picture.html()
    assert picture.text() == "A finding (reference machine)\nWhat is to be seen."


def test_a_picture_without_words_is_refused(path):
    """As a chart is."""
    with pytest.raises(TypeError, match="alt="):
        Picture(path, width=100, **WORDS | {"alt": " "})
    with pytest.raises(ValueError, match="where the figures are from"):
        Picture(path, width=100, **WORDS | {"label": "somewhere"})
