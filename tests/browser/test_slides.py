"""Slides in a real Chromium: keys move them, nothing is cut, and nobody else is asked."""

from __future__ import annotations

from typing import Any

import pytest

from derain_edu.course.deck import deck
from derain_edu.course.slides import reveal_files, to_html
from derain_edu.errors import DerainError

# Of the slide in sight: what stands outside of it, and how large it is itself.
TOO_LARGE = """() => {
    const slide = Reveal.getCurrentSlide();
    const room = document.querySelector('.slides').getBoundingClientRect();
    const outside = [...slide.querySelectorAll('*')].filter(e => {
        const r = e.getBoundingClientRect();
        return r.width && (r.left < room.left - 1 || r.right > room.right + 1
            || r.top < room.top - 1 || r.bottom > room.bottom + 1);
    }).map(e => `${e.tagName}: ${e.textContent.slice(0, 40)}`);
    if (slide.scrollHeight > 720) outside.push(`${slide.scrollHeight} pixels high`);
    return outside;
}"""
OPACITY = "e => getComputedStyle(e).opacity"
PLACE = "() => { const {h, v, f} = Reveal.getIndices(); return [h, v, f ?? null]; }"


@pytest.fixture
def open_deck(chromium, tiny_lesson, skip_unless_demanded, tmp_path) -> Any:
    """A function that opens the slides of the tiny lesson; it returns page and complaints."""
    try:
        reveal = reveal_files()
    except DerainError as error:
        skip_unless_demanded(str(error), "DERAIN_EDU_REQUIRE_BROWSER")
    path = tmp_path / "deck.html"
    page = chromium.new_page(viewport={"width": 1280, "height": 720})
    asked: list[str] = []
    own = (path.as_uri(), "data:")
    page.on("request", lambda r: None if r.url.startswith(own) else asked.append(r.url))
    page.on("pageerror", lambda error: asked.append(str(error)))
    page.on("console", lambda message: asked.append(message.text))

    def open_it(change: str = "") -> tuple[Any, list[str]]:
        if change:
            tiny_lesson.cells[-1].source = change
        path.write_text(to_html(deck(tiny_lesson, "04_progressive_prn"), reveal), encoding="utf-8")
        page.goto(path.as_uri())
        page.wait_for_function("() => Reveal.isReady()")
        return page, asked

    yield open_it
    page.close()


def test_keys_move_the_slides(open_deck):
    page, asked = open_deck()
    page.keyboard.press("ArrowRight")
    assert page.evaluate(PLACE)[:2] == [1, 0]
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert page.evaluate(PLACE) == [1, 2, -1]  # the measurement can't be seen yet
    measured = page.locator(".fragment", has_text="measured 3.0 dB")
    assert measured.evaluate(OPACITY) == "0"
    page.keyboard.press("Space")
    assert page.evaluate(PLACE) == [1, 2, 0]
    page.wait_for_function(f"e => ({OPACITY})(e) === '1'", arg=measured.element_handle())
    assert asked == []


def test_every_slide_fits_and_nobody_is_asked(open_deck):
    long = "## You can now …\n\n" + "\n".join(["- say it;"] * 20)
    page, asked = open_deck(long)
    places = page.evaluate("() => Reveal.getSlides().map(s => Reveal.getIndices(s))")
    assert len(places) == 14
    for place in places:
        page.evaluate("([h, v]) => Reveal.slide(h, v, 9)", [place["h"], place.get("v") or 0])
        assert page.evaluate(TOO_LARGE) == [], place
    assert asked == []
    # The last one had to become smaller; at its own size it would be found.
    page.evaluate("() => { Reveal.getCurrentSlide().style.fontSize = ''; Reveal.layout(); }")
    assert page.evaluate(TOO_LARGE) != []
