"""
Texts for users that are stored and worded in the language of the reader when they are displayed.

A `Message` is its English text, so it can be used wherever a text can. It also has a `source`, which JSON can store:
the template, which is the key of the translation, and the parameters. `render` words a source in a language. This
package knows no gettext, so the caller passes the functions that translate.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self

__all__ = (
    'EMPTY',
    'Message',
    'as_is',
    'as_json',
    'choice_of',
    'counted',
    'from_json',
    'gettext_noop',
    'joined',
    'list_of',
    'phrase',
    'render',
    'templates_of',
)

type Source = Any
"""
A message for JSON. One of:

- None: the empty message
- a text, which is not translated
- {'template': ..., 'parameters': {...}}; a parameter is a number or a source. With 'plural' and 'number': the template
  for several, and the number that selects it
- {'parts': [source, ...], 'separator': ', '}
- {'phrase': source}: the same without its full stop, as a part of a sentence
"""


class Message(str):
    """
    An English text with its template and its parameters.

    `make messages` collects the templates, so they must be literals. Operations of `str` return plain texts, which are
    not translated; use the functions of this module instead.

    Args:
        template: The text, with placeholders such as {name} if there are parameters.
        parameters: The values of the placeholders: texts that are not translated (a name, a value of Proxmox VE),
            numbers, and other messages. Of other objects, such as errors, the text is taken.
    """

    __slots__ = ('_source',)

    _source: Source

    def __new__(cls, template: str = '', /, **parameters: object) -> Self:
        if not parameters:
            message = str.__new__(cls, template)
            message._source = {'template': template}
            return message
        values = _values(parameters)
        message = str.__new__(cls, template.format_map(values))
        message._source = {'template': template, 'parameters': values}
        return message

    @classmethod
    def restored(cls, text: str, source: Source) -> Self:
        """A message as it was stored: its text, and its source, or None if the text is not translated."""
        message = str.__new__(cls, text)
        message._source = source
        return message

    def __str__(self) -> 'Message':
        # str(error) returns the argument of an exception through this method.
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return Message.restored, (str.__str__(self), self.source)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: Any) -> Self:
        return self

    @property
    def source(self) -> Source:
        """The message for JSON; None for the empty one."""
        return _plain(self._source) if self else None

    def as_phrase(self) -> 'Message':
        """The message as a part of a sentence: without its full stop."""
        return Message.restored(self.rstrip('.'), {'phrase': self._source}) if self.endswith('.') else self

    def with_text(self, placeholder: str, text: str) -> 'Message':
        """The message with a text instead of a placeholder within its parameters. The text may be a message."""
        return as_is(_replaced(self, placeholder, text))


EMPTY = Message()


def gettext_noop(template: str) -> str:
    """The template itself, which `make messages` collects."""
    return template


def as_is(text: str) -> Message:
    """A text of others (Proxmox VE, the database) that is not translated. A message is returned unchanged."""
    return text if isinstance(text, Message) else Message.restored(text, text or None)


def phrase(value: object) -> Message:
    """A text, or that of an error, as a part of a sentence: without its full stop."""
    return as_is(str(value)).as_phrase()


def counted(one: str, several: str, number: int, /, **parameters: object) -> Message:
    """
    A message about a number of things: counted('{number} guest', '{number} guests', 2).

    Args:
        one, several: The templates for one and for several; {number} is the number.
    """
    values = _values({**parameters, 'number': number})
    text = (one if number == 1 else several).format_map(values)
    return Message.restored(text, {'template': one, 'plural': several, 'number': number, 'parameters': values})


def joined(parts: Iterable[object], separator: str = ' ') -> Message:
    """Messages and texts one after the other: sentences, or names with commas between them. Empty ones are left out."""
    found = [text for part in parts if (text := str(part))]
    if len(found) == 1:
        return as_is(found[0])
    return Message.restored(separator.join(found), {'parts': found, 'separator': separator}) if found else EMPTY


def list_of(parts: Iterable[object]) -> Message:
    """'a', 'a and b', 'a, b and c'."""
    *others, last = parts
    return Message('{names} and {last}', names=joined(others, ', '), last=last) if others else as_is(str(last))


def choice_of(parts: Iterable[object]) -> Message:
    """'a', 'a or b', 'a, b or c'."""
    *others, last = parts
    return Message('{names} or {last}', names=joined(others, ', '), last=last) if others else as_is(str(last))


def as_json(**messages: str) -> dict[str, Any]:
    """Messages for JSON: their English texts by name, and their sources by name under 'sources'."""
    sources = {name: source for name, message in messages.items() if (source := as_is(message).source) is not None}
    return {**{name: str.__str__(message) for name, message in messages.items()}, 'sources': sources}


def from_json(data: Mapping[str, Any], name: str) -> Message:
    """A message that `as_json` returned. Data without sources, which an older version stored, is a text as it is."""
    sources = data.get('sources') or {}
    return Message.restored(data[name], sources.get(name))


def render(source: Source, gettext: Callable[[str], str], ngettext: Callable[[str, str, int], str]) -> str:
    """
    A stored message in another language. A template that has no translation (any more) stays English.

    Raises:
        AttributeError, IndexError, KeyError, TypeError, ValueError: The source is not that of a message, or its
            translation has placeholders of its own.
    """
    source = _source_of(source)
    if not isinstance(source, Mapping):
        return str(source or '')
    if 'parts' in source:
        separator: str = source['separator']
        return separator.join(render(part, gettext, ngettext) for part in source['parts'])
    if 'phrase' in source:
        return render(source['phrase'], gettext, ngettext).rstrip('.')
    if 'plural' in source:
        template = ngettext(source['template'], source['plural'], source['number'])
    else:
        template = gettext(source['template'])
    parameters = source.get('parameters')
    if not parameters:
        return template
    return template.format_map(
        {
            name: value if isinstance(value, int | float) else render(value, gettext, ngettext)
            for name, value in parameters.items()
        }
    )


def templates_of(source: Source) -> Iterable[str]:
    """Yield the templates of a stored message: its own, and those of its parts."""
    source = _source_of(source)
    if isinstance(source, Mapping):
        if 'template' in source:
            yield source['template']
        for part in (*source.get('parts', ()), *source.get('parameters', {}).values(), source.get('phrase')):
            yield from templates_of(part)


def _values(parameters: Mapping[str, object]) -> dict[str, str | int | float]:
    return {name: value if isinstance(value, str | int | float) else str(value) for name, value in parameters.items()}


def _source_of(value: Any) -> Source:
    return value._source if isinstance(value, Message) else value


def _plain(value: Any) -> Source:
    """A source in which no part is a message."""
    value = _source_of(value)
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


def _replaced(value: Any, placeholder: str, text: str) -> Any:
    source = _source_of(value)
    if isinstance(source, str):
        new = text if source == placeholder else source.replace(placeholder, text)
        return as_is(new) if isinstance(value, Message) else new
    if not isinstance(source, Mapping):
        return value
    if 'parts' in source:
        return joined((_replaced(part, placeholder, text) for part in source['parts']), source['separator'])
    if 'phrase' in source:
        return phrase(_replaced(source['phrase'], placeholder, text))
    parameters = {name: _replaced(each, placeholder, text) for name, each in source.get('parameters', {}).items()}
    if 'plural' in source:
        del parameters['number']
        return counted(source['template'], source['plural'], source['number'], **parameters)
    return Message(source['template'], **parameters)
