"""The page *Try it* in a real Chromium: its pictures are those of Python, and nothing leaves.

The page is built as the book builds it, with no other page, and stands in a subfolder. One half of
the tests talks to the page's worker, as the page does, and compares numbers; the other half uses
the page as a visitor does.
"""

from __future__ import annotations

import contextlib
import functools
import http.server
import io
import re
import subprocess
import sys
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import psutil
import pytest
import torch
from PIL import Image

import derain_edu as de
from derain_edu.inference.onnx_stage import run_stages
from derain_edu.inference.tiles import plan_tiles

TOP = Path(__file__).resolve().parents[2]
KEPT = TOP / "build" / "book-demo"  # as for the book: nothing is fetched or exported twice
sys.path.insert(0, str(TOP / "book"))
SECONDS = 120  # a step that takes longer is stuck
LEVEL = 1 / 255


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class _Isolating(_Quiet):
    """A server whose pages may share memory between threads."""

    def end_headers(self) -> None:
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()


@contextlib.contextmanager
def served(folder: Path, kind: type[_Quiet]) -> Iterator[str]:
    """Serve a folder, and yield the address of the page in it."""
    handler = functools.partial(kind, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/some/folder/try"
        server.shutdown()


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory, skip_unless_demanded: Callable[[str, str], None]
) -> Path:
    """A folder with the page two folders deep."""
    import make_book

    folder = tmp_path_factory.mktemp("try_it")
    html = folder / "site" / "some" / "folder"
    sources = {"en": folder / "source", "zh": folder / "source-zh"}
    make_book.add_demo(sources, html, KEPT)
    if not (html / "try" / "app.js").is_file():
        skip_unless_demanded("npm is missing", "DERAIN_EDU_REQUIRE_BROWSER")
    for language, source in sources.items():
        index = "# Book\n\n```{toctree}\ntry/index\n```\n"
        (source / "index.md").write_text(index, encoding="utf-8")
        doctrees = str(folder / f"doctrees-{language}")
        options = ["-b", "html", "-d", doctrees, "-c", str(TOP / "book")]
        target = html
        if language == "zh":
            options, target = [*options, "-D", "language=zh_CN"], html / "zh"
        command = [sys.executable, "-m", "sphinx", *options, str(source), str(target)]
        subprocess.run(command, check=True, capture_output=True)
    return folder / "site"


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """The page on a plain server."""
    with served(site, _Quiet) as address:
        yield address


def careful(page: Any, address: str, wrong: list[str]) -> None:
    """Note what the page complains of, and each request to another place."""
    page.set_default_timeout(SECONDS * 1000)
    page.on("console", lambda m: wrong.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("response", lambda r: wrong.append(f"{r.status} {r.url}") if r.status >= 400 else None)
    ours = (address.partition("/some")[0], "data:", "blob:http://127.0.0.1")
    page.on(
        "request", lambda r: None if r.url.startswith(ours) else wrong.append(f"asks {r.url}")
    )


@pytest.fixture(scope="module")
def page(chromium: Any, address: str) -> Iterator[Any]:
    """The page, with its network loaded; at the end nothing may have gone wrong in it."""
    context, wrong = chromium.new_context(viewport={"width": 1280, "height": 900}), []
    page = context.new_page()
    careful(page, address, wrong)
    page.goto(f"{address}/index.html")
    page.locator("#try-status[data-backend]").wait_for()
    yield page
    context.close()
    assert not wrong, wrong


@pytest.fixture(scope="module")
def network() -> Any:
    return de.create_model("prenet", pretrained="open").eval()


@pytest.fixture(scope="module")
def spanet() -> Any:
    return de.create_model("spanet", pretrained="open").eval()


# -- numbers --------------------------------------------------------------------------------------

# Runs the worker of the page on pixels that come as text, and keeps what it sends.
RUN = """async ({address, base64, threads, ...job}) => {
    const worker = new Worker(new URL('worker.js', address), {type: 'module'});
    const pixels = Uint8ClampedArray.from(atob(base64), letter => letter.charCodeAt(0));
    window.parts = [];
    let ready;
    const end = new Promise((resolve, reject) => {
        worker.onerror = event => reject(new Error(event.message));
        worker.onmessage = ({data}) => {
            if (data.type === 'ready') ready = data;
            else if (data.type === 'part') window.parts.push(data);
            else if (data.type === 'done') resolve();
            else reject(new Error(JSON.stringify(data)));
        };
    });
    worker.postMessage({type: 'open', threads});
    worker.postMessage({type: 'run', run: 1, id: 1, pixels, floats: true, ...job});
    await end;
    worker.terminate();
    return ready;
}"""
# Gives back what was kept, numbers as text.
FETCH = """() => {
    const text = array => {
        const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
        let letters = '';
        for (let k = 0; k < bytes.length; k += 8192)
            letters += String.fromCharCode(...bytes.subarray(k, k + 8192));
        return btoa(letters);
    };
    return window.parts.map(p => ({...p, bytes: text(p.bytes), exact: text(p.exact)}));
}"""


def browser_seconds() -> float:
    """Return the processor time of the programs that this one has started."""
    children = psutil.Process().children(recursive=True)
    return sum(times.user + times.system for times in (c.cpu_times() for c in children))


def as_text(rainy: torch.Tensor) -> str:
    """Return the pixels RGBA of a picture, in letters."""
    pixels = np.full((*rainy.shape[1:], 4), 255, np.uint8)
    pixels[..., :3] = (rainy * 255).round().byte().permute(1, 2, 0).numpy()
    return b64encode(pixels.tobytes()).decode()


def in_the_browser(page: Any, address: str, rainy: torch.Tensor, stages: int, **job: Any) -> Any:
    """Return what the page computes: floats and bytes (stages, 3, H, W), and its time."""
    _, height, width = rainy.shape
    used = browser_seconds()
    ready = page.evaluate(
        RUN,
        {
            "address": f"{address}/", "base64": as_text(rainy),
            "width": width, "height": height, "stages": stages, **job,
        },
    )  # fmt: skip
    used = browser_seconds() - used
    parts = page.evaluate(FETCH)
    floats = np.full((stages, height, width, 3), np.nan, np.float32)
    bytes_ = np.zeros((stages, height, width, 3), np.uint8)
    for part in parts:
        rows = slice(part["top"], part["top"] + part["height"])
        columns = slice(part["left"], part["left"] + part["width"])
        where = (part["stage"] - 1, rows, columns)
        shape = (part["height"], part["width"], 3)
        floats[where] = np.frombuffer(b64decode(part["exact"]), np.float32).reshape(shape)
        bytes_[where] = np.frombuffer(b64decode(part["bytes"]), np.uint8).reshape(shape)
    assert np.isfinite(floats).all()
    return SimpleNamespace(
        floats=torch.from_numpy(floats).permute(0, 3, 1, 2),
        bytes=torch.from_numpy(bytes_).permute(0, 3, 1, 2).int(),
        ms=[part["ms"] for part in parts],
        windows=parts[-1]["windows"],
        used=used,
        **{name: ready[name] for name in ("backend", "threads", "helpers")},
    )


def rainy_picture(height: int, width: int) -> torch.Tensor:
    """A photo in synthetic rain, as bytes would hold it."""
    photo = de.load_photo("picosdeeuropa")[:, 200 : 200 + height, 100 : 100 + width]
    return (de.add_rain(photo, "heavy", seed=0).rainy * 255).round() / 255


def as_levels(pictures: torch.Tensor) -> torch.Tensor:
    return (pictures.clamp(0, 1) * 255).round().int()


def test_every_stage_is_that_of_python(page, address, network):
    """At the size of the benchmarks, without WebGPU; the printed times are not tested.

    Processor time is compared, because other programs may run beside this one. What the browser
    needs to load the network is taken off: the same with one pixel.
    """
    rainy = rainy_picture(321, 481)
    loading = in_the_browser(page, address, rainy[:, :1, :1], 6, threads=1).used
    found = in_the_browser(page, address, rainy, 6, threads=1)
    browser = (found.used - loading) / 6
    with torch.inference_mode():
        expected = torch.cat(network.unroll(rainy[None], 6))
    apart = (found.floats - expected).abs().amax(dim=(1, 2, 3))
    levels = (found.bytes - as_levels(expected)).abs().amax(dim=(1, 2, 3))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    from demo import export_once

    file = export_once("stage.onnx", KEPT)
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    used = time.process_time()
    run_stages(session, rainy[None], 2, network.config.channels)
    python = (time.process_time() - used) / 2
    print(f"stage  largest difference  grey levels  ms ({found.backend})")
    for k, (a, b, ms) in enumerate(zip(apart, levels, found.ms, strict=True), 1):
        print(f"{k:5}  {a:18.1e}  {b:11}  {ms:5.0f}")
    print(
        f"processor time of a stage: {browser:.2f} s, ONNX Runtime in Python on one thread "
        f"{python:.2f} s, {browser / python:.1f} times"
    )
    assert found.backend == "wasm" and found.windows == 1
    assert apart.max() <= 1e-3 and levels.max() <= 1
    assert apart.max() > 0  # they are two computations


def differs_from_one_thread(page: Any, address: str, threads: int) -> Any:
    """Compare a picture on several threads with the same on one; return what several gave."""
    rainy = rainy_picture(200, 90)
    one = in_the_browser(page, address, rainy, 6, threads=1)
    several = in_the_browser(page, address, rainy, 6, threads=threads)
    assert (one.threads, one.helpers, several.threads) == (1, 0, threads)
    torch.testing.assert_close(several.floats, one.floats, atol=2e-6, rtol=0)
    return several


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_that_share_a_picture_give_the_same(page, address, threads):
    """On a plain server each thread has a network and a strip of the picture."""
    assert not page.evaluate("self.crossOriginIsolated")
    assert differs_from_one_thread(page, address, threads).helpers == threads - 1


def test_with_the_headers_for_it_threads_share_memory(chromium, site):
    with served(site, _Isolating) as address:
        page, wrong = chromium.new_page(), []
        careful(page, address, wrong)
        page.goto(f"{address}/index.html")
        page.locator("#try-status[data-backend]").wait_for()
        assert page.evaluate("self.crossOriginIsolated")
        assert differs_from_one_thread(page, address, 2).helpers == 0
        page.close()
    assert not wrong, wrong


def test_strips_cover_a_picture_and_see_as_far_as_a_stage(page, network):
    reach = network.halo // network.config.stages
    plan = """async () => {
        const {planStrips} = await import('./tiles.js');
        const sizes = Array.from({length: 700}, (_, k) => k + 1);
        return sizes.map(height => [1, 2, 3, 4].map(threads => planStrips(height, threads)));
    }"""
    for height, plans in enumerate(page.evaluate(plan), 1):
        for threads, strips in enumerate(plans, 1):
            assert len(strips) == max(1, min(threads, height // 64))
            edges = [0, *(strip["to"] for strip in strips)]
            assert [strip["from"] for strip in strips] == edges[:-1] and edges[-1] == height
            for strip in strips:
                stop = strip["start"] + strip["size"]
                assert strip["start"] == 0 or strip["from"] - strip["start"] >= reach
                assert stop == height or stop - strip["to"] >= reach
                assert 0 <= strip["start"] and stop <= height


def test_the_page_says_how_many_threads_compute(page):
    cores = page.evaluate("navigator.hardwareConcurrency")
    threads = "one thread" if cores == 1 else f"{min(cores, 4)} threads"
    give(page, as_file(Image.new("RGB", (9, 9)), "small.png"))
    assert f"WebAssembly on {threads}" in wait_until_done(page)


def test_windows_give_the_picture_that_one_window_gives(page, address):
    rainy = rainy_picture(150, 190)
    whole = in_the_browser(page, address, rainy, 6)
    cut = in_the_browser(page, address, rainy, 6, tile=160)
    assert (whole.windows, cut.windows) == (1, 2)
    assert (whole.floats - cut.floats).abs().max() < LEVEL / 2
    assert (whole.bytes - cut.bytes).abs().max() <= 1
    assert not torch.equal(whole.floats, cut.floats)
    # An overlap as wide as the reach of three stages is exact.
    cut = in_the_browser(page, address, rainy, 3, tile=160, overlap=39)
    torch.testing.assert_close(whole.floats[:3], cut.floats, atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [(1, 1), (33, 7), (1, 50)])
def test_any_size_is_that_of_python(page, address, network, size):
    rainy = rainy_picture(*size)
    found = in_the_browser(page, address, rainy, 8)  # two more than published
    with torch.inference_mode():
        expected = torch.cat(network.unroll(rainy[None], 8))
    assert (found.floats - expected).abs().max() <= 1e-3
    assert (found.bytes - as_levels(expected)).abs().max() <= 1


# Runs SPANet's worker in the same way, and gives back what it sends.
ATTEND = """async ({address, base64, ...job}) => {
    const worker = new Worker(new URL('attention.js', address), {type: 'module'});
    const pixels = Uint8ClampedArray.from(atob(base64), letter => letter.charCodeAt(0));
    let part;
    await new Promise((resolve, reject) => {
        worker.onerror = event => reject(new Error(event.message));
        worker.onmessage = ({data}) => {
            if (data.type === 'part') part = data;
            else if (data.type === 'done') resolve();
            else reject(new Error(JSON.stringify(data)));
        };
        worker.postMessage({run: 1, pixels, floats: true, ...job});
    });
    worker.terminate();
    const maps = part.maps.map(map => Array.from(map));
    return {exact: Array.from(part.exact), exactMaps: Array.from(part.exactMaps), maps};
}"""


@pytest.mark.parametrize("size", [(96, 144), (33, 7), (1, 1)])
def test_the_maps_of_spanet_are_those_of_python(page, address, spanet, size):
    rainy = rainy_picture(*size)
    height, width = size
    used = browser_seconds()
    found = page.evaluate(
        ATTEND,
        {"address": f"{address}/", "base64": as_text(rainy), "width": width, "height": height},
    )
    used = browser_seconds() - used
    with torch.inference_mode():
        derained, maps = spanet.attend(rainy[None])
    exact = torch.tensor(found["exact"]).view(height, width, 3).permute(2, 0, 1)
    assert (exact - derained[0]).abs().max() <= 1e-3
    exact = torch.tensor(found["exactMaps"]).view(maps[0].shape)
    assert (exact - maps[0]).abs().max() <= 1e-3
    shown = torch.tensor(found["maps"]).view(maps[0].shape)
    assert (shown - (maps[0] * 255).round()).abs().max() <= 1
    print(f"SPANet, {width} × {height}: {used:.1f} s of processor time with its loading")


def test_windows_are_those_of_python(page):
    sizes = [(1, 1), (640, 640), (641, 2000), (3000, 4000), (5000, 2400), (903, 1107)]
    plan = """async sizes => {
        const {planTiles} = await import('./tiles.js');
        return sizes.map(([h, w]) => planTiles(h, w, 640).map(({row, column}) =>
            [row.start, row.size, row.from, row.to, column.start, column.size, column.from,
             column.to]));
    }"""
    for (height, width), found in zip(sizes, page.evaluate(plan, sizes), strict=True):
        expected = [
            [n for w, c in zip(t.window, t.core, strict=True)
             for n in (w.start, w.stop - w.start, c.start, c.stop)]
            for t in plan_tiles(height, width, 640)
        ]  # fmt: skip
        assert found == expected


# -- the page, as a visitor uses it ---------------------------------------------------------------


def as_file(picture: Image.Image, name: str, **options: Any) -> dict[str, Any]:
    buffer = io.BytesIO()
    kind = {"jpg": "JPEG", "png": "PNG"}[name.rpartition(".")[2]]
    picture.save(buffer, kind, **options)
    return {"name": name, "mimeType": f"image/{kind.lower()}", "buffer": buffer.getvalue()}


def give(page: Any, file: dict[str, Any]) -> None:
    page.locator("#try-file").set_input_files(file)


def wait_until_done(page: Any) -> str:
    """Wait for the end of a run, and return what the page says."""
    status = page.locator("#try-status", has_text=re.compile("^Done"))
    status.wait_for()
    return status.inner_text()


def downloaded(page: Any) -> tuple[str, Image.Image]:
    with page.expect_download() as started:
        page.get_by_role("button", name="Download as PNG").click()
    return started.value.suggested_filename, Image.open(started.value.path())


def test_a_photo_is_derained_and_saved_with_its_transparency(page, network):
    rainy = rainy_picture(47, 60)
    image = de.to_pil(rainy)
    alpha = Image.new("L", image.size, 255)
    alpha.paste(0, (0, 0, 20, 47))
    image.putalpha(alpha)
    give(page, as_file(image, "my street.v2.png"))
    assert "Done: 6 stages" in wait_until_done(page)
    name, saved = downloaded(page)
    assert name == "my street.v2_derained.png" and saved.mode == "RGBA"
    assert saved.getchannel("A").tobytes() == alpha.tobytes()
    rainy[..., :20] = 0  # a canvas forgets the colours below what is transparent
    with torch.inference_mode():
        expected = as_levels(network(rainy[None])[0])[..., 20:]
    found = torch.from_numpy(np.array(saved.convert("RGB"))).permute(2, 0, 1)[..., 20:].int()
    assert (found - expected).abs().max() <= 1


def test_stages_strength_and_swipe_move_by_keyboard(page, network):
    rainy = rainy_picture(40, 50)
    give(page, as_file(de.to_pil(rainy), "street.png"))
    wait_until_done(page)
    stage = page.get_by_role("slider", name="Stage")
    stage.focus()
    assert stage.input_value() == "6"
    assert stage.get_attribute("aria-valuetext") == "6: the published result"
    page.keyboard.press("ArrowLeft")
    assert stage.input_value() == "5"
    with torch.inference_mode():
        expected = network.unroll(rainy[None], 12)

    def differs(picture: torch.Tensor) -> int:
        page.evaluate("() => new Promise(done => requestAnimationFrame(() => done()))")
        saved = np.array(downloaded(page)[1].convert("RGB"))
        return (torch.from_numpy(saved).permute(2, 0, 1).int() - picture).abs().max().item()

    assert differs(as_levels(expected[4][0])) <= 1
    stage.focus()
    page.keyboard.press("Home")
    assert differs(as_levels(rainy)) == 0
    stage.focus()
    page.keyboard.press("End")
    strength = page.get_by_role("slider", name="Strength")
    strength.fill("50")
    half = rainy + 0.5 * (expected[5][0].clamp(0, 1) - rainy)
    assert differs(as_levels(half)) <= 1
    strength.fill("100")
    right = page.locator("#try-right")
    assert right.inner_text() == "after"
    page.get_by_role("radio", name="what was taken").check()
    page.locator("#try-right", has_text="what was taken").wait_for()
    assert differs(as_levels(4 * (rainy - expected[5][0].clamp(0, 1)))) <= 4
    page.get_by_role("radio", name="picture", exact=True).check()
    page.locator("#try-right", has_text="after").wait_for()
    swipe = page.get_by_role("slider", name="Border between before and after")
    swipe.focus()
    page.keyboard.press("ArrowRight")
    assert "51 percent" in swipe.get_attribute("aria-valuetext")
    page.get_by_role("button", name="Go on to stage 12").click()
    page.locator("#try-status", has_text="Done: 12 stages").wait_for()
    assert stage.input_value() == "12"
    assert differs(as_levels(expected[11][0])) <= 1


FOCUSED = """() => {
    const focused = document.activeElement;
    // Of the border between the pictures the line is outlined, not the whole picture.
    const drawn = focused.id === 'try-swipe' ? focused.nextElementSibling : focused;
    const seen = getComputedStyle(drawn).outlineStyle !== 'none';
    return [focused.id || focused.className, seen];
}"""


def test_tab_leads_through_everything_and_the_focus_is_seen(page):
    give(page, as_file(Image.new("RGB", (9, 9)), "small.png"))
    wait_until_done(page)
    page.locator("#try-file").focus()
    found = []
    for _ in range(20):
        page.keyboard.press("Tab")
        found.append(page.evaluate(FOCUSED))
        if found[-1][0] == "try-more":
            break
    ids = [name for name, _ in found]
    assert ids[:1] == ["try-example"] and ids.count("try-example") == 2
    controls = [name for name in ids if name.startswith("try-") and name != "try-example"]
    assert controls == ["try-swipe", "try-stage", "try-strength", "try-download", "try-more"]
    assert all(seen for name, seen in found if name.startswith("try-")), found


def test_a_photo_that_was_held_upright_comes_out_upright(page):
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    give(page, as_file(de.to_pil(rainy_picture(30, 50)), "phone.jpg", exif=exif.tobytes()))
    page.locator("#try-caption", has_text="phone.jpg, 30 × 50 pixels").wait_for()
    wait_until_done(page)
    assert downloaded(page)[1].size == (30, 50)


def test_one_pixel_is_a_picture(page):
    give(page, as_file(Image.new("RGB", (1, 1), (10, 20, 30)), "dot.png"))
    page.locator("#try-caption", has_text="dot.png, 1 × 1 pixels").wait_for()
    wait_until_done(page)
    assert downloaded(page)[1].size == (1, 1)


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        ({"name": "letter.png", "mimeType": "image/png", "buffer": b"Dear Sir or Madam"},
         "letter.png is not a picture that this browser can read"),
        ({"name": "cut.png", "mimeType": "image/png",
          "buffer": as_file(Image.new("RGB", (50, 50)), "a.png")["buffer"][:60]},
         "cut.png is not a picture that this browser can read"),
        (as_file(Image.new("1", (4001, 3000)), "huge.png"),
         "huge.png has 12.0 megapixels; this page takes up to 12.0"),
    ],
    ids=["text", "cut off", "huge"],
)  # fmt: skip
def test_what_can_not_be_derained_gets_a_sentence(page, file, sentence):
    give(page, file)
    page.locator("#try-fault[role=alert]", has_text=sentence).wait_for()
    give(page, as_file(Image.new("RGB", (9, 9)), "good.png"))
    page.locator("#try-caption", has_text="good.png").wait_for()
    assert page.locator("#try-fault").inner_text() == ""
    wait_until_done(page)


def test_a_run_stops_and_goes_on(page, network):
    """Another photo ends a run, too; what goes on remembers the stages before."""
    give(page, as_file(de.to_pil(rainy_picture(300, 400)), "large.png"))
    page.locator("#try-status", has_text="Computing …").wait_for()
    page.locator("#try-status", has_text="Stage 1 of 6").wait_for()
    rainy = rainy_picture(180, 240)
    give(page, as_file(de.to_pil(rainy), "other.png"))
    page.locator("#try-caption", has_text="other.png").wait_for()
    page.locator("#try-status", has_text="Stage 1 of 6").wait_for()
    page.get_by_role("button", name="Stop").click()
    page.locator("#try-status", has_text="Stopped.").wait_for()
    assert int(page.locator("#try-stage").input_value()) < 6
    page.get_by_role("button", name="Go on to stage 6").click()
    wait_until_done(page)
    saved = torch.from_numpy(np.array(downloaded(page)[1].convert("RGB"))).permute(2, 0, 1).int()
    with torch.inference_mode():
        assert (saved - as_levels(network(rainy[None])[0])).abs().max() <= 1


def test_spanet_shows_where_it_looks(page, spanet):
    rainy = rainy_picture(60, 90)
    give(page, as_file(de.to_pil(rainy), "street.png"))
    wait_until_done(page)
    page.get_by_role("radio", name="SPANet, where it looks").check()
    page.locator("#try-status", has_text="WebAssembly on one thread").wait_for()
    assert not page.locator("#try-stage").is_visible()
    assert page.locator("#try-right").inner_text() == "where it looks"
    with torch.inference_mode():
        derained, maps = spanet.attend(rainy[None])

    def saved() -> tuple[str, torch.Tensor]:
        page.evaluate("() => new Promise(done => requestAnimationFrame(() => done()))")
        name, picture = downloaded(page)
        return name, torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1).int()

    slider = page.get_by_role("slider", name="Map")
    for map_ in (1, 3):
        slider.fill(str(map_))
        name, picture = saved()
        assert name == f"street_map_{map_}.png"
        assert (picture - (maps[0, map_ - 1] * 255).round()).abs().max() <= 1
    assert slider.get_attribute("aria-valuetext") == "3 of 4: without a teacher"
    page.get_by_role("radio", name="picture", exact=True).check()
    name, picture = saved()
    assert name == "street_derained.png"
    assert (picture - as_levels(derained[0])).abs().max() <= 1
    # What was computed before is still there.
    page.get_by_role("radio", name="PReNet, stage by stage").check()
    assert "Done: 6 stages" in page.locator("#try-status").inner_text()
    assert page.locator("#try-stage").is_visible() and not slider.is_visible()
    page.get_by_role("radio", name="SPANet, where it looks").check()
    assert "WebAssembly on one thread" in page.locator("#try-status").inner_text()
    page.get_by_role("radio", name="PReNet, stage by stage").check()


def test_spanet_stops_and_takes_a_large_photo_smaller(page):
    page.get_by_role("radio", name="SPANet, where it looks").check()
    give(page, as_file(Image.new("RGB", (1000, 900)), "large.png"))
    page.locator("#try-caption", has_text="large.png, 527 × 474 pixels").wait_for()
    page.get_by_role("button", name="Stop").click()
    page.locator("#try-status", has_text="Stopped.").wait_for()
    give(page, as_file(Image.new("RGB", (9, 9)), "small.png"))
    wait_until_done(page)
    assert not page.get_by_role("button", name="Compute again").is_visible()
    page.get_by_role("radio", name="PReNet, stage by stage").check()
    wait_until_done(page)


def test_the_examples_name_their_authors_and_work(page):
    examples = page.locator(".try-examples li")
    examples.nth(1).wait_for()
    assert examples.count() == 2
    for example in examples.all():
        assert "Photo: " in example.inner_text() and "CC BY" in example.inner_text()
        assert example.locator("button").get_attribute("aria-label")
    examples.first.locator("button").click()
    page.locator("#try-caption", has_text="china_in_light_rain.png, 480 ×").wait_for()
    page.get_by_role("button", name="Stop").click()
    page.locator("#try-status", has_text="Stopped.").wait_for()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_fits_a_phone(chromium, address, theme):
    context = chromium.new_context(
        viewport={"width": 360, "height": 740}, color_scheme=theme, has_touch=True, is_mobile=True
    )
    page, wrong = context.new_page(), []
    careful(page, address, wrong)
    page.goto(f"{address}/index.html")
    page.locator("#try-status[data-backend]").wait_for()
    assert page.locator("#try-camera", has_text="Take a photo").is_visible()
    assert not page.locator(".try-lead").is_visible()  # a finger drops nothing
    give(page, as_file(de.to_pil(rainy_picture(60, 90)), "phone.png"))
    wait_until_done(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    for box in page.locator("#try-it :is(button, .try-button, input[type=range]):visible").all():
        size = box.bounding_box()
        assert size["x"] >= 0 and size["x"] + size["width"] <= 360
    context.close()
    assert not wrong, wrong


def test_the_chinese_page_runs_the_same_program(chromium, address, tmp_path):
    context, wrong = chromium.new_context(viewport={"width": 1280, "height": 900}), []
    page = context.new_page()
    careful(page, address, wrong)
    page.goto(f"{address.removesuffix('/try')}/zh/try/index.html")
    page.locator("#try-status[data-backend]").wait_for()
    assert page.locator(".try-lead").inner_text() == "把一张照片拖到这里，或粘贴一张"
    english = page.locator(".try-body").evaluate(
        "top => [...top.querySelectorAll('[data-text]')].map(part => part.textContent)"
    )
    names = re.compile("PReNet|SPANet")  # stay as they are
    assert not [words for words in english if re.search("[A-Za-z]{4,}", names.sub("", words))]
    page.locator(".try-example").first.click()
    page.locator("#try-result").wait_for()
    page.wait_for_function("document.querySelector('#try-status').textContent.startsWith('完成')")
    page.screenshot(path=tmp_path / "zh.png", full_page=True)
    context.close()
    assert not wrong, wrong


def test_without_its_program_the_page_says_what_it_needs(chromium, address):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}/index.html")
    assert page.locator(".try-notice").is_visible()
    assert not page.locator(".try-body").is_visible()
    context.close()
