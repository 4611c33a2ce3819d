"""
Files of the repository outside docs/ on the website.

Pictures in assets/ are copied, COMPATIBILITY.md and CHANGELOG.md become pages, and links to other files lead to the
public address of the repository.
"""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
INSERTED = {'compatibility.md': 'COMPATIBILITY.md', 'changelog.md': 'CHANGELOG.md'}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pictures."""
    for path in sorted((ROOT / 'assets').iterdir()):
        files.append(File.generated(config, f'assets/{path.name}', abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Insert the files of the repository, and adapt the links."""
    if name := INSERTED.get(page.file.src_uri):
        markdown = (ROOT / name).read_text().replace('](docs/', '](')
        return re.sub(r'\]\(([A-Z]\w+\.md)\)', lambda match: f']({link(match[1], config)})', markdown)
    markdown = markdown.replace('](../assets/', '](assets/')
    return re.sub(r'\]\(\.\./([^)]+)\)', lambda match: f']({link(match[1], config)})', markdown)


def link(name: str, config: MkDocsConfig) -> str:
    """The page of the website that shows a file of the repository, or its public address."""
    pages = {file: page for page, file in INSERTED.items()}
    return pages.get(name) or f'{config.repo_url.rstrip("/")}/blob/main/{name}'
