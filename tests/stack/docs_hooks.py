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
