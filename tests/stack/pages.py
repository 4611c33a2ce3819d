"""
The pages of docs/ outside the repository: on the website, and in the package, where NetBox serves them.

COMPATIBILITY.md and CHANGELOG.md become pages, and links to other files lead to the public address of the repository.
Uses the standard library only.
"""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INSERTED = {'compatibility.md': 'COMPATIBILITY.md', 'changelog.md': 'CHANGELOG.md'}


def page_text(name: str, text: str, files: str) -> str:
    """The text of a page; `files` is the address under which the files of the repository can be read."""
    pages = {file: page for page, file in INSERTED.items()}

    def absolute(match: re.Match[str]) -> str:
        return f']({pages.get(match[1]) or f"{files}/{match[1]}"})'

    if name in INSERTED:
        text = (ROOT / INSERTED[name]).read_text().replace('](docs/', '](')
        return re.sub(r'\]\(([A-Z]\w+\.md)\)', absolute, text)
    return re.sub(r'\]\(\.\./(?!assets/)([^)]+)\)', absolute, text)
