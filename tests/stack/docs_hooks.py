"""Hooks of MkDocs: the pictures in assets/ and files of the repository outside docs/ on the website."""

import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.stack.pages import page_text  # noqa: E402


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pictures."""
    for path in sorted((ROOT / 'assets').iterdir()):
        files.append(File.generated(config, f'assets/{path.name}', abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Insert the files of the repository, and adapt the links."""
    text = page_text(page.file.src_uri, markdown, f'{config.repo_url.rstrip("/")}/blob/main')
    return text.replace('](../assets/', '](assets/')


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Remove what loads data of other hosts from a page."""
    return _without_requests(output)


def on_post_template(output_content: str, *, template_name: str, config: MkDocsConfig) -> str:
    """Remove what loads data of other hosts from a page of the theme, such as 404.html."""
    return _without_requests(output_content)


def _without_requests(html: str) -> str:
    """Remove the mark by which the theme's script requests the stars of the repository from its host."""
    return html.replace(' data-md-component="source"', '')
