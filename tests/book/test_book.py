"""The built book: complete, its links lead somewhere, and a browser finds nothing to complain of.

These tests build the book first, which runs every lesson that has changed since the last time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import pytest

from derain_edu.course.notebooks import lesson_names
from derain_edu.experiments.claims import CLAIMS

PAGES = ["index", "glossary", "results/claims", "api", "checked", "genindex", "search"]
PAGES += ["try/index", "teachers", "tripod"]
PAGES += [f"lessons/{name}" for name in lesson_names()]
HERE = "https://book/"  # where the links of the pages start
LOADING = {(tag, "src") for tag in ("script", "img", "iframe", "source")} | {("link", "href")}
NO_REQUEST = {"canonical", "next", "prev", "index", "search", "author"}  # links that load nothing


class Page(HTMLParser):
    """What a test wants to know of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = {""}
        self.links: list[str] = []
        self.loads: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = path.read_text(encoding="utf-8")
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append((tag, found))
        self.anchors |= {found[key] for key in ("id", "name") if found.get(key)}
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        for key in ("src", "href"):
            if (tag, key) in LOADING and found.get(key) and found.get("rel") not in NO_REQUEST:
                self.loads.append(found[key])

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def pages(book) -> dict[str, Page]:
    return {
        path.relative_to(book.folder).as_posix(): Page(path)
        for path in sorted(book.folder.rglob("*.html"))
        if "_static" not in path.parts
    }


def test_all_pages_exist_in_both_languages(pages):
    assert set(pages) == {f"{folder}{name}.html" for folder in ("", "zh/") for name in PAGES}


def test_each_page_leads_to_its_twin(pages):
    for name, page in pages.items():
        [switch] = [link for link in page.all("a") if link.get("class") == "language-switch"]
        twin = name.removeprefix("zh/") if name.startswith("zh/") else f"zh/{name}"
        assert urlsplit(urljoin(f"{HERE}{name}", switch["href"])).path == f"/{twin}"
        [html] = page.all("html")
        assert html["lang"] == ("zh-CN" if name.startswith("zh/") else "en")


def test_a_chinese_lesson_has_words_and_outputs(pages):
    for name in lesson_names():
        english, chinese = pages[f"lessons/{name}.html"], pages[f"zh/lessons/{name}.html"]
        assert len(re.findall("[\u4e00-\u9fff]", chinese.text)) > 2000, name
        outputs = [page.text.count("cell_output") for page in (english, chinese)]
        assert outputs[0] == outputs[1], name


def test_every_internal_link_and_anchor_resolves(book, pages):
    broken, checked = [], 0
    for name, page in pages.items():
        for link in page.links:
            parts = urlsplit(urljoin(f"{HERE}{name}", link))
            if f"{parts.scheme}://{parts.netloc}/" != HERE:
                continue
            target, checked = unquote(parts.path.lstrip("/")) or name, checked + 1
            if target in pages:
                found = unquote(parts.fragment) in pages[target].anchors
            else:
                found = (book.folder / target).is_file()
            if not found:
                broken.append(f"{name}: {link}")
    assert checked > 500 and not broken, broken


def test_nothing_is_loaded_from_elsewhere(book, pages):
    for name, page in pages.items():
        away = [load for load in page.loads if "//" in load.split("base64,")[0]]
        assert not away, f"{name} loads {away}"
        assert not any(word in page.text for word in ("require.min.js", "MathJax-script"))
    for sheet in book.folder.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        assert not re.search(r"(url\(|@import )['\"]?(https?:)?//", text), sheet


def test_lessons_show_what_they_showed_when_they_ran(book, pages):
    for name in book.lessons:
        page = pages[f"lessons/{name}.html"]
        assert "cell_output" in page.text, f"{name} has no outputs"
        assert "Traceback" not in page.text and "widget-view" not in page.text, name


def test_every_picture_of_a_lesson_has_an_alternative_text(book, pages):
    for name in book.lessons:
        pictures = pages[f"lessons/{name}.html"].all("img")
        assert pictures, f"{name} shows no picture"
        poor = [p["src"][:60] for p in pictures if len(p.get("alt") or "") < 5]
        assert not poor, f"{name}: {poor}"


def test_solutions_and_hints_are_folded(pages):
    folded = 0
    for name, page in pages.items():
        if "lessons/" in name:
            folded += len(re.findall("<summary>(Solution|参考答案)</summary>", page.text))
            assert not [d for d in page.all("details") if "open" in d], name
    assert folded > 0


def test_formulas_are_mathml(pages):
    text = pages["lessons/07_irnn.html"].text
    assert text.count("<math") >= 2 and "\\mathrm" not in text and "\\(" not in text


def test_the_front_page_has_a_card_for_each_lesson(book, pages):
    front = pages["index.html"]
    for name in lesson_names():
        assert f"lessons/{name}.html" in front.links
    cards = [image for image in front.all("img") if "sd-card-img-top" in (image["class"] or "")]
    assert len(cards) >= len(book.lessons) and all(image["alt"] for image in cards)


def test_the_claims_are_those_of_the_results(pages):
    source = Path(__file__).resolve().parents[2] / "data" / "results" / "CLAIMS.md"
    claims = re.findall(r"^## (Claim \d+)$", source.read_text(encoding="utf-8"), re.MULTILINE)
    for claim in claims:
        assert f">{claim}<" in pages["results/claims.html"].text
    assert len(claims) == len(CLAIMS)


# -- in a browser ---------------------------------------------------------------------------------


@pytest.fixture
def tab(chromium, address) -> Iterator[Any]:
    """A tab; at the end nothing may have gone wrong in it, or left this machine."""
    context = chromium.new_context(viewport={"width": 1280, "height": 1000})
    page, wrong = context.new_page(), []
    page.on("console", lambda m: wrong.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("response", lambda r: wrong.append(f"{r.status} {r.url}") if r.status >= 400 else None)
    page.on(
        "request",
        lambda r: None if r.url.startswith((address, "data:")) else wrong.append(f"asks {r.url}"),
    )
    yield page
    context.close()
    assert not wrong, wrong


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", [1280, 800])
def test_a_page_opens_without_a_complaint_and_fits(tab, address, name, width):
    tab.set_viewport_size({"width": width, "height": 1000})
    tab.goto(f"{address}/{name}.html", wait_until="load")
    assert tab.locator("main h1:visible").count() == 1
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    wide = tab.eval_on_selector_all(
        ".bd-article img, .bd-article table",
        "(all, width) => all.filter(e => e.getBoundingClientRect().right > width)"
        ".map(e => e.outerHTML.slice(0, 80))",
        width,
    )
    assert not wide


def shown(book_of_pictures: Any) -> tuple[str, str, str]:
    """Return the visible picture's data, the label and the words of a slider."""
    pictures = book_of_pictures.locator("img:visible")
    assert pictures.count() == 1
    return (
        pictures.get_attribute("src"),
        book_of_pictures.locator("output").inner_text(),
        book_of_pictures.locator(".flipbook-words").inner_text(),
    )


def test_the_stage_slider_moves_by_keyboard(tab, address):
    tab.goto(f"{address}/lessons/04_progressive_prn.html")
    flipbook = tab.get_by_role("group", name="slider: stage")
    slider = flipbook.get_by_role("slider", name="stage")
    slider.focus()
    seen = [shown(flipbook)]
    for key in ("ArrowRight", "ArrowRight", "End"):
        tab.keyboard.press(key)
        seen.append(shown(flipbook))
    assert [label for _, label, _ in seen] == ["1", "2", "3", "12"]
    assert len({picture for picture, _, _ in seen}) == len({words for _, _, words in seen}) == 4
    assert slider.get_attribute("aria-valuetext") == "12"
    tab.keyboard.press("Home")
    assert shown(flipbook) == seen[0]


def test_every_slider_of_the_book_has_one_picture_per_position(tab, address, book):
    sliders = 0
    for name in book.lessons:
        tab.goto(f"{address}/lessons/{name}.html")
        for flipbook in tab.locator(".flipbook:has(input)").all():
            slider, sliders = flipbook.locator("input"), sliders + 1
            last = int(slider.get_attribute("max"))
            assert 1 <= last <= 12
            labels = set()
            for position in range(last + 1):
                slider.fill(str(position))
                labels.add(shown(flipbook)[1])
            assert len(labels) == last + 1, name
    assert sliders >= len(book.lessons) / 2


def test_the_search_finds_lessons_without_a_server_of_its_own(tab, address):
    tab.goto(f"{address}/search.html?q=identity")
    found = tab.locator("#search-results a", has_text="IRNN").first
    found.wait_for()
    assert "lessons/07_irnn.html" in found.get_attribute("href")


def test_the_search_finds_chinese_words(tab, address):
    tab.goto(f"{address}/zh/search.html?q=移植")
    found = tab.locator("#search-results a", has_text="移植").first
    found.wait_for()
    assert "lessons/13_transplant.html" in found.get_attribute("href")


def test_without_javascript_the_first_picture_shows_and_no_dead_slider(chromium, address):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}/lessons/04_progressive_prn.html")
    flipbook = page.locator('.flipbook[aria-label="slider: stage"]')
    assert flipbook.locator("img:visible").count() == 1
    assert flipbook.locator("input:visible").count() == 0
    context.close()


def test_a_solution_opens_on_a_click(tab, address):
    tab.goto(f"{address}/lessons/15_onnx_export.html")
    details = tab.locator("details", has=tab.locator("summary", has_text="Solution")).first
    assert not details.locator("pre").is_visible()
    details.locator("summary").click()
    assert details.locator("pre").is_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pictures_keep_their_colours_in_both_themes(chromium, address, theme):
    context = chromium.new_context(color_scheme=theme)
    page = context.new_page()
    page.goto(f"{address}/lessons/04_progressive_prn.html")
    assert page.locator("html").get_attribute("data-theme") == theme
    filters = page.eval_on_selector_all(
        ".cell_output img", "all => all.map(image => getComputedStyle(image).filter)"
    )
    assert filters and set(filters) == {"none"}
    context.close()
