"""How Sphinx builds the book. ``book/make_book.py`` runs it."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from derain_edu import __version__  # noqa: E402
from derain_edu.course.notebooks import repository_url  # noqa: E402

project = "derain_edu"
author = "the authors of derain_edu"
copyright = "the authors; code MIT, text CC BY 4.0"
release = __version__

extensions = [
    "myst_nb",
    "sphinx_design",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_extension",
]
exclude_patterns = ["included/*", "results/CLAIMS.md"]

# Lessons: the outputs are there already, and no page needs a kernel or somebody's server.
nb_execution_mode = "off"
nb_merge_streams = True
nb_ipywidgets_js = {}
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
html_math_renderer = "mathml"

# The package: numpydoc docstrings say the types, so signatures stay short.
autodoc_typehints = "none"
napoleon_use_ivar = True  # fields as one list, not a heading for each
napoleon_google_docstring = False
maximum_signature_line_length = 88
python_use_unqualified_type_names = True

html_theme = "sphinx_book_theme"
html_title = "derain_edu"
html_favicon = str(HERE / "_static" / "drop.svg")
templates_path = [str(HERE / "_templates")]
html_static_path = [str(HERE / "_static")]
html_css_files = ["book.css"]
html_copy_source = False
html_context = {"default_mode": "auto"}  # light or dark, as the reader's system
html_theme_options = {
    "repository_url": repository_url(),
    "use_repository_button": True,
    "use_download_button": False,
    "article_header_end": ["language-switch", "article-header-buttons"],
    "navbar_persistent": [],  # the search field stands in the sidebar already
    "show_navbar_depth": 1,
    "show_toc_level": 2,
}
