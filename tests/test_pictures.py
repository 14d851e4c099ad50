"""The pictures of the documentation can be taken again from runs in the repository."""

import pytest

from website import pictures


@pytest.mark.parametrize("name", pictures.PICTURES)
def test_a_picture_has_its_runs_and_its_place_in_the_docs(name, tmp_path):
    page = pictures.page_of(name, tmp_path)
    assert page.stat().st_size > 1_000_000
    assert (pictures.ROOT / "docs" / "images" / f"{name}.png").exists()
    texts = [path.read_text(encoding="utf-8") for path in (pictures.ROOT / "docs").glob("*.md")]
    assert any(f"images/{name}.png" in text for text in texts)
