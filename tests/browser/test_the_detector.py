"""Whether the browser tests would notice: small notebooks that go wrong, each in its own way."""

from __future__ import annotations

import time

import nbformat
import pytest

# What JupyterLab or the kernel says, and a cell that makes it say so. The last one ends the run.
BROKEN = {
    "oh dear": "import sys\nprint('oh dear', file=sys.stderr)",
    "the old way": "import warnings\nwarnings.warn('the old ' + 'way')",
    "Error displaying widget": (
        "view = {'version_major': 2, 'version_minor': 0, 'model_id': 'gone'}\n"
        "display({'application/vnd.jupyter.widget-view+json': view}, raw=True)"
    ),
    "No version of module nowhere": (
        "import ipywidgets, traitlets\n"
        "class Strange(ipywidgets.DOMWidget):\n"
        "    _model_module = traitlets.Unicode('no' + 'where').tag(sync=True)\n"
        "Strange()"
    ),
    "Javascript Error: lost": (
        "from IPython.display import Javascript\nJavascript('throw new Error(\"lo\" + \"st\")')"
    ),
    "ZeroDivisionError": "1 / 0",
}
# The picture breaks at 2, stays as it is at 3, and is late at 4.
SLIDER = """\
import io, time
import ipywidgets
from PIL import Image
from derain_edu.course.views.sliders import shell

def draw():
    if slider.value == 2:
        raise ValueError("no picture of " + "two")
    if slider.value == 4:
        time.sleep(1)
    file = io.BytesIO()
    red = 60 * (1 if slider.value == 3 else slider.value)
    Image.new("RGB", (30, 20), (red, 0, 0)).save(file, format="PNG")
    return file.getvalue()

slider = ipywidgets.IntSlider(0, 0, 4, description="level")
shell([slider], draw)"""


@pytest.fixture(scope="module")
def run_cells(lab, open_notebook):
    """A function that puts cells into a notebook of the lab and runs it."""

    def run(name, cells):
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
        nbformat.write(notebook, lab.root / "notebooks" / f"{name}.ipynb")
        return open_notebook(name)

    return run


@pytest.fixture(scope="module")
def broken_page(run_cells):
    return run_cells("90_broken", BROKEN.values())


@pytest.mark.parametrize("complaint", BROKEN)
def test_it_notices(complaint, broken_page):
    patience = time.monotonic() + 20  # the page is drawn after the kernel is done
    while not any(complaint in error for error in broken_page.errors()):
        assert time.monotonic() < patience, broken_page.errors()
        broken_page.page.wait_for_timeout(50)


def test_it_notices_what_a_slider_does_wrong(run_cells):
    lesson = run_cells("91_slider", [SLIDER])
    slider = lesson.slider("level")
    assert slider.press("ArrowRight") < 1000  # to 1
    assert lesson.errors() == []
    with pytest.raises(AssertionError, match="a new picture after ArrowRight; screenshot: .*png"):
        slider.press("ArrowRight", seconds=3)  # to 2
    assert lesson.errors() == ["kernel: ValueError: no picture of two"]
    with pytest.raises(AssertionError, match="a new picture after ArrowRight"):
        slider.press("ArrowRight", seconds=3)  # to 3
    assert slider.press("ArrowRight") >= 1000  # to 4
