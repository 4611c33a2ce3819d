"""
The notes of a guest as one line of text.

Anyone who may edit a guest writes its notes, and every run reads them, so the run time must be linear in their length.
The Markdown library of NetBox takes 40 seconds for 8 KiB of `[`; the expressions here take milliseconds.
"""

import re
from html.parser import HTMLParser
from string import punctuation

__all__ = ('summary_of',)

# virtualization.VirtualMachine.description
LENGTH = 200
# The maximum length of notes in Proxmox VE; a file that was edited manually may contain more.
MAX_NOTES = 8192
# The maximum length of a line; the rest is not displayed.
MAX_LINE = 1000

# Stand-ins from Unicode's private use area for characters that are text, not markup.
SHIELDED = {ord(character): chr(0xE000 + ord(character)) for character in punctuation}
UNSHIELDED = {ord(stand_in): chr(code) for code, stand_in in SHIELDED.items()}

# Markup that may span several lines, or that contains literal text; replaced before HTML is parsed.
FENCE = re.compile(
    r'^ {0,3}(?P<fence>```+|~~~+)[^\n]*\n(?P<text>.*?)(?:^ {0,3}(?P=fence)|\Z)', re.DOTALL | re.MULTILINE
)
CODE = re.compile(r'`+(?P<text>[^`\n]+)`+')
AUTOLINK = re.compile(r'<(?P<text>[a-z][a-z0-9+.-]{1,31}:[^\s<>]*|[^\s<>@/]+@[^\s<>@/]+)>', re.IGNORECASE)
ESCAPED = re.compile(r'\\(?P<text>[!-/:-@\[-`{-~])')
INVISIBLE = re.compile(r'<!--.*?(?:-->|\Z)|<(script|style)\b.*?(?:</\1\s*>|\Z)', re.DOTALL | re.IGNORECASE)
CUT_TAG = re.compile(r'<[^<>]*\Z')
TARGET = r'(?:\([^()]*(?:\([^()]*\)[^()]*)*\)|\[[^\[\]]*\])'
IMAGE = re.compile(rf'!\[[^\[\]]*\]{TARGET}')
LINK = re.compile(rf'\[(?P<text>[^\[\]]*)\]{TARGET}')

# Markup within a line; removed after HTML is parsed.
DEFINITION = re.compile(r'\s*\[[^\[\]]+\]:\s*\S')
RULE = re.compile(r'[\s|:=*_+-]*')
# The markers of quotes, headings and lists, nested to any depth.
MARKERS = re.compile(r'(?:\s+|>|#{1,6}(?=\s|$)|[-*+](?=\s)|\d{1,9}[.)](?=\s))+')
HEADING_END = re.compile(r'\s#+\s*$')
EMPHASIS = (
    re.compile(r'(?P<mark>\*{1,3}|~~)(?=\S)(?P<text>.+?)(?<=\S)(?P=mark)'),
    re.compile(r'(?<!\w)(?P<mark>_{1,3})(?=\S)(?P<text>.+?)(?<=\S)(?P=mark)(?!\w)'),
)

# Tags that begin a line of their own.
BLOCKS = {
    'address', 'article', 'aside', 'blockquote', 'br', 'caption', 'center', 'dd', 'details', 'div', 'dl', 'dt',
    'figcaption', 'figure', 'footer', 'form', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'header', 'hr', 'li', 'main', 'nav',
    'ol', 'p', 'pre', 'section', 'summary', 'table', 'tbody', 'tfoot', 'thead', 'tr', 'ul',
}  # fmt: skip
CELLS = {'td', 'th'}


def summary_of(notes: str) -> str:
    """
    The first line of the notes that contains text other than HTML and Markdown markup, with links replaced by their
    texts; '' if there is none. Images have no text.
    """
    text = notes if len(notes) <= MAX_NOTES else CUT_TAG.sub('', notes[:MAX_NOTES])
    text = text.translate(dict.fromkeys(UNSHIELDED))
    for markup in (FENCE, CODE, ESCAPED, AUTOLINK):
        text = markup.sub(shield, text)
    text = LINK.sub(r'\g<text>', IMAGE.sub('', INVISIBLE.sub('', text)))
    # Otherwise the parser would search for the end of each unclosed tag.
    end = text.rfind('>') + 1
    text = text[:end] + text[end:].replace('<', SHIELDED[ord('<')])
    reader = TextReader()
    reader.feed(text)
    reader.close()
    lines = (text_of(line) for line in ''.join(reader.parts).splitlines())
    return next((line for line in lines if line), '')[:LENGTH].rstrip()


def shield(match: re.Match[str]) -> str:
    """The text of a match, with its punctuation replaced by stand-ins."""
    return match['text'].translate(SHIELDED)


def text_of(line: str) -> str:
    """The text of a line without Markdown, with single blanks; '' if it has no visible character."""
    line = line[:MAX_LINE]
    if DEFINITION.match(line) or RULE.fullmatch(line):
        return ''
    if line.lstrip().startswith('|'):
        line = line.replace('|', ' ')
    marker = MARKERS.match(line)
    line = line[marker.end() :] if marker else line
    if marker and '#' in marker[0]:
        line = HEADING_END.sub('', line)
    for emphasis in EMPHASIS:
        # Twice: `**_both_**` is nested.
        line = emphasis.sub(r'\g<text>', emphasis.sub(r'\g<text>', line))
    words = ' '.join(line.translate(UNSHIELDED).split())
    return words if any(character.isprintable() and character != ' ' for character in words) else ''


class TextReader(HTMLParser):
    """Collects the text of an HTML document; different blocks are on different lines."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Separate the text before and after the tag."""
        self.separate(tag)

    def handle_endtag(self, tag: str) -> None:
        """Separate the text before and after the tag."""
        self.separate(tag)

    def handle_data(self, data: str) -> None:
        """Collect a piece of text."""
        self.parts.append(data)

    def separate(self, tag: str) -> None:
        """Start a new line or word at a tag."""
        if tag in BLOCKS:
            self.parts.append('\n')
        elif tag in CELLS:
            self.parts.append(' ')
