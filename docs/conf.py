"""
How Sphinx makes the site. The tree is its source, so that a link works on the site as it does in the repository.

    tox -e site     build it into build/site, with warnings as errors
"""

import sys
from importlib.metadata import version as version_of
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "site"))

project = "Remora"
author = "the authors of Remora"
project_copyright = author
version = release = version_of("remora")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "navigation", "drawings", "reference"]
root_doc = "docs/index"
include_patterns = [
    "docs/**.md",
    "docs/api/*.rst",
    "examples/README.md",
    "examples/*/README.md",
    "contrib/example-extension/README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
]
exclude_patterns = ["build", "dist", "tests", "core", "transports", "exporters", ".*"]
suppress_warnings = ["ref.python"]  # a method's name in a docstring that more than one class has
templates_path = ["site/templates"]

myst_heading_anchors = 3

default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
autodoc_typehints_format = "short"
napoleon_numpy_docstring = False
napoleon_use_ivar = True
python_use_unqualified_type_names = True
maximum_signature_line_length = 80
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = "Remora"
html_static_path = ["site/static"]
html_css_files = ["remora.css"]
html_additional_pages = {"index": "redirect.html"}
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b6e75", "color-brand-content": "#0b6e75"},
    "dark_css_variables": {"color-brand-primary": "#5cc5cd", "color-brand-content": "#5cc5cd"},
}
