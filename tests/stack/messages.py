"""
The plugin's texts for translators: `make messages` collects them into netbox_proxsync/locale/en, takes what is new into
the other languages' catalogs, and compiles those.
"""

import argparse
import ast
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from babel.core import Locale
from babel.messages.catalog import Catalog, Message
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
# What a translation has in common with the text: {endpoint}, {}, %(number)s, and tags.
FIXED = re.compile(r'\{\w*\}|%\(\w+\)[sd]|</?\w+[^>]*>')


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


def catalog_of(language: str) -> Path:
    """Where the catalog of a language is, which may not exist yet."""
    return LOCALES / language / 'LC_MESSAGES' / 'django.po'


def read(path: Path = SOURCE) -> Catalog:
    with path.open('rb') as file:
        return read_po(file, domain='django', locale=path.parent.parent.name)


def identities(catalog: Catalog) -> set[tuple]:
    return {(message.id, message.context) for message in catalog if message.id}


def languages() -> list[Path]:
    """The catalogs of languages that the plugin is translated into."""
    return [path for path in sorted(LOCALES.glob('*/LC_MESSAGES/django.po')) if path != SOURCE]


def new(language: str) -> Catalog:
    """A catalog without any text, for a language such as 'da' or 'pt_BR'."""
    name = Locale.parse(language).english_name
    return Catalog(
        language,
        header_comment=f'# {name} translation of netbox-proxsync.',
        project='netbox-proxsync',
        msgid_bugs_address='netbox-proxsync',
        revision_date=datetime.now(UTC),
        last_translator='netbox-proxsync',
        language_team=name,
        fuzzy=False,
    )


def update(translated: Catalog, texts: Catalog) -> None:
    """Add the texts that a translation lacks, not translated, and remove those that no longer exist."""
    # Not guessed from what is similar: a wrong text is worse than an English one.
    translated.update(texts, no_fuzzy_matching=True)
    translated.obsolete.clear()


def untranslated(catalog: Catalog) -> list[Message]:
    """The texts that are displayed in English: without a translation, or marked as fuzzy."""
    return [message for message in catalog if message.id and (message.fuzzy or not all(forms(message.string)))]


def misfits(catalog: Catalog) -> list[Message]:
    """The texts with a translation that does not have the same placeholders and tags."""

    def fits(message: Message, translation: str) -> bool:
        fixed = Counter(FIXED.findall(translation))
        return any(fixed == Counter(FIXED.findall(text)) for text in forms(message.id))

    return [
        message
        for message in catalog
        if message.id and not all(fits(message, translation) for translation in forms(message.string) if translation)
    ]


def forms(text: str | Sequence[str] | None) -> tuple[str, ...]:
    """A text, or its plural forms. Babel has None for a translation that was never there."""
    return (text or '',) if text is None or isinstance(text, str) else tuple(text)


def compiled(catalog: Catalog) -> bytes:
    out = BytesIO()
    write_mo(out, catalog)
    return out.getvalue()


def save(catalog: Catalog, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open('wb') as file:
        write_po(file, catalog, width=120, include_lineno=False, omit_header=False)


def main() -> None:
    parser = argparse.ArgumentParser(prog='make messages', description=__doc__)
    parser.add_argument('--add', metavar='LANGUAGE', help='create the catalog of a language, for example da or pt_BR')
    parser.add_argument('--untranslated', metavar='LANGUAGE', help='also print the texts without a translation')
    options = parser.parse_args()
    if options.add and not catalog_of(options.add).exists():
        save(new(options.add), catalog_of(options.add))
    texts = collect()
    if not SOURCE.exists() or identities(texts) != identities(read()):
        save(texts, SOURCE)
    print(f'{len(texts)} texts')
    for path in languages():
        translated = read(path)
        if identities(texts) != identities(translated):
            update(translated, texts)
            save(translated, path)
        path.with_suffix('.mo').write_bytes(compiled(translated))
        language, left = path.parent.parent.name, untranslated(translated)
        print(f'{language}: {len(left)} without a translation')
        for message in left if language == options.untranslated else ():
            print(*map(repr, forms(message.id)), f'(context: {message.context})' if message.context else '')
        for message in misfits(translated):
            print(f'{language}: other placeholders than in {forms(message.id)[0]!r}')


if __name__ == '__main__':
    main()
