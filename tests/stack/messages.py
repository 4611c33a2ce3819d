"""
The plugin's texts for translators: `make messages` collects them into netbox_proxsync/locale/en, takes what is new into
the other languages' catalogs, and compiles those.
"""

import ast
import re
from collections.abc import Collection, Iterator
from io import BytesIO
from typing import BinaryIO

from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.utils.translation.template import templatize

from .paths import ROOT

LOCALES = ROOT / 'netbox_proxsync' / 'locale'
SOURCE = LOCALES / 'en' / 'LC_MESSAGES' / 'django.po'
KEYWORDS = {
    **DEFAULT_KEYWORDS,
    'gettext_lazy': None,
    'gettext_noop': None,
    # Of proxmox/messages.py.
    'Message': None,
    'counted': (1, 2),
    'ngettext_lazy': (1, 2),
    'pgettext_lazy': ((1, 'c'), 2),
}
# What Django makes of a template for a collector: text(u'...'), text(u'...', u'...', count).
STRING = r"""u?(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
CALL = re.compile(rf'\b(_|gettext|ngettext|pgettext|npgettext)\(({STRING}(?:,\s*{STRING})*)')


def extract_python(file: BinaryIO, keywords: Collection[str], *_args: object, **_options: object) -> Iterator[tuple]:
    """
    The texts of a Python module, as Babel takes them. Unlike Babel's own function, it finds calls within calls.
    """
    for node in ast.walk(ast.parse(file.read())):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, 'id', '')
            if name in keywords:
                texts = [arg.value if isinstance(arg, ast.Constant) else None for arg in node.args]
                if texts and isinstance(texts[0], str):
                    yield node.lineno, name, tuple(texts) if len(texts) > 1 else texts[0], []


def extract_template(file: BinaryIO, *_args: object, **_options: object) -> Iterator[tuple]:
    """The texts of one of Django's templates, as Babel takes them."""
    source = templatize(file.read().decode())
    for call in CALL.finditer(source):
        texts = tuple(ast.literal_eval(text) for text in re.findall(STRING, call[2]))
        line = source.count('\n', 0, call.start()) + 1
        yield line, call[1], texts if len(texts) > 1 else texts[0], []


def collect() -> Catalog:
    """All texts of the plugin that go through gettext."""
    catalog = Catalog('en', header_comment='# The texts of netbox-proxsync.', project='netbox-proxsync', fuzzy=False)
    methods = [('**.py', extract_python), ('templates/**.html', extract_template)]
    found = extract_from_dir(ROOT / 'netbox_proxsync', methods, keywords=KEYWORDS)
    for path, _line, text, _comments, context in sorted(found, key=lambda each: (each[0], each[1])):
        # Without line numbers, which would change with every edit.
        catalog.add(text, '', locations=[(f'netbox_proxsync/{path}', 0)], context=context)
    return catalog


def read(path=SOURCE) -> Catalog:
    with path.open('rb') as file:
        return read_po(file, domain='django', locale=path.parent.parent.name)


def identities(catalog: Catalog) -> set[tuple]:
    return {(message.id, message.context) for message in catalog if message.id}


def languages() -> list:
    """The catalogs of languages that the plugin is translated into."""
    return [path for path in sorted(LOCALES.glob('*/LC_MESSAGES/django.po')) if path != SOURCE]


def compiled(catalog: Catalog) -> bytes:
    out = BytesIO()
    write_mo(out, catalog)
    return out.getvalue()


def save(catalog: Catalog, path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open('wb') as file:
        write_po(file, catalog, width=120, include_lineno=False, omit_header=False)


def main() -> None:
    catalog = collect()
    if not SOURCE.exists() or identities(catalog) != identities(read()):
        save(catalog, SOURCE)
    for path in languages():
        translated = read(path)
        if identities(catalog) != identities(translated):
            # Not guessed from what is similar: a wrong text is worse than an English one.
            translated.update(catalog, no_fuzzy_matching=True)
            translated.obsolete.clear()
            save(translated, path)
        path.with_suffix('.mo').write_bytes(compiled(translated))
    print(f'{len(catalog)} texts; {", ".join(path.parent.parent.name for path in languages()) or "no"} translations')


if __name__ == '__main__':
    main()
