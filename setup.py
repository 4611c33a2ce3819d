"""Everything else is in pyproject.toml. This adds the documentation to the package, so that NetBox can serve it."""

from pathlib import Path
from shutil import copyfile

from setuptools import setup
from setuptools.command.build_py import build_py

DOCS = Path(__file__).parent / 'docs'


class BuildWithDocs(build_py):
    """Copies `docs/` into the package. A checkout that is installed in editable mode reads them in their place."""

    def run(self) -> None:
        """Build the package."""
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib) / 'netbox_proxsync' / 'docs'
        target.mkdir(parents=True, exist_ok=True)
        for page in DOCS.glob('*.md'):
            copyfile(page, target / page.name)


setup(cmdclass={'build_py': BuildWithDocs})
