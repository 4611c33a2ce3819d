"""
The documentation, for the Help buttons of pages.

It is part of the package, and NetBox serves it, so it fits the installed version and needs no Internet access. The
plugin's setting `docs_url` replaces it by a copy at another address.
"""

import re
from functools import cache
from pathlib import Path

from django.urls import reverse
from markdown import markdown
from netbox.plugins import get_plugin_config

__all__ = ('Page', 'help_url', 'pages', 'read_page')

# In a wheel, the documentation is within the package; in a checkout, it is next to it.
PLACES = (Path(__file__).parent / 'docs', Path(__file__).parent.parent / 'docs')
# The pictures of the documentation are not part of the package.
PICTURE = re.compile(r'^!\[[^]]*\]\([^)]*\)\n?', re.MULTILINE)
TITLE = re.compile(r'^# (.+)$', re.MULTILINE)

type Page = tuple[str, str]


def help_url(page: str) -> str:
    """The address of a page of the documentation, by its name without ".md"."""
    base = get_plugin_config('netbox_proxsync', 'docs_url')
    return f'{base.rstrip("/")}/{page}' if base else reverse('plugins:netbox_proxsync:docs_page', args=[page])


@cache
def files() -> dict[str, Path]:
    """The pages by name."""
    directory = next((place for place in PLACES if place.is_dir()), None)
    return {path.stem: path for path in sorted(directory.glob('*.md'))} if directory else {}


def pages() -> list[Page]:
    """The names and titles of all pages, by title."""
    found = [(name, title_of(path.read_text('utf-8')) or name) for name, path in files().items()]
    return sorted(found, key=lambda page: page[1])


def title_of(text: str) -> str:
    found = TITLE.search(text)
    return found.group(1) if found else ''


def read_page(name: str) -> tuple[str, str] | None:
    """The title and the HTML of a page; None if the page does not exist."""
    path = files().get(name)
    if path is None:
        return None
    text = path.read_text('utf-8')
    html = markdown(
        TITLE.sub('', PICTURE.sub('', text), count=1), extensions=['tables', 'fenced_code', 'toc', 'sane_lists']
    )
    return title_of(text) or name, html
