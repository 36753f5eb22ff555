"""How `make docs` makes a site of docs/. The order of the pages is that of the links in the lists of
docs/README.md and of each folder's README.md; a page that none of them names is an error. Those of
design/ have numbers, and no list."""
import posixpath
import re
from pathlib import Path

project = "Cairn"
root_doc = "README"
extensions = ["myst_parser"]
exclude_patterns = ["site"]
myst_heading_anchors = 4

html_theme = "alabaster"
html_theme_options = {"description": "trains language models in C and never loses a step",
                      "fixed_sidebar": True, "page_width": "72em", "sidebar_width": "16em"}
html_show_sphinx = False
html_copy_source = False

# What a program prints need not be in the language of its block.
suppress_warnings = ["misc.highlighting_failure"]


def add_pages(app, docname, source):
    """Pages that a list of @docname links to stand below it in the contents."""
    if posixpath.basename(docname) != "README":
        return
    pages = re.findall(r"^ *(?:- |\d+\. |\| )\[[^]]*\]\(([^)#:]+)\.md\)", source[0], re.MULTILINE)
    if docname == "design/README":
        pages = sorted(path.stem for path in Path(app.srcdir, "design").glob("[0-9]*.md"))
    source[0] += "\n```{toctree}\n:hidden:\n\n%s\n```\n" % "\n".join(dict.fromkeys(pages))


def setup(app):
    app.connect("source-read", add_pages)
