"""
Patterns that an administrator writes, held against names that a guest chose.

Both are hostile text: a name comes from whoever may rename a guest, a pattern may be a mistake, and Python's own `re`
can run for minutes on `(a+)+$`. So they are matched by RE2, whose time grows in line with the name, and the size of a
compiled pattern is bounded: some milliseconds for the worst pattern and the longest name.
"""

from functools import lru_cache

import re2

__all__ = ('GLOB', 'REGEX', 'Pattern', 'PatternError', 'compile_pattern', 'glob_to_regex')

GLOB = 'glob'
REGEX = 'regex'
# Bytes that a compiled pattern may take, from which RE2 derives the number of its instructions (some thousands).
MAX_SIZE = 128 * 1024
# What people know from Python or Perl and RE2 does not have, as it cannot be matched in linear time.
UNSUPPORTED = ('invalid perl operator', 'invalid escape sequence')


class PatternError(ValueError):
    """A pattern that means nothing, with what is wrong about it for the person who wrote it."""


class Pattern:
    """
    A compiled pattern. Names are compared without regard to case, as host names are.

    A glob must fit the whole name; a regular expression may be found anywhere in it.
    """

    def __init__(self, text: str, kind: str = GLOB) -> None:
        """
        Raises:
            PatternError: It means nothing, or is too large.
        """
        self._regex = compile_regex(f'(?s)\\A(?:{glob_to_regex(text)})\\z' if kind == GLOB else text)

    def matches(self, name: str) -> bool:
        return self._regex.search(storable(name)) is not None


@lru_cache(maxsize=1024)
def compile_pattern(text: str, kind: str = GLOB) -> Pattern:
    """
    The pattern, compiled once.

    Raises:
        PatternError: It means nothing, or is too large.
    """
    return Pattern(text, kind)


def compile_regex(text: str) -> 're2._Regexp':
    options = re2.Options()
    options.max_mem = MAX_SIZE
    options.case_sensitive = False
    # RE2 would write to the worker's standard error.
    options.log_errors = False
    try:
        return re2.compile(storable(text), options)
    except re2.error as error:
        raise PatternError(explain(error)) from None


def explain(error: Exception) -> str:
    reason = error.args[0] if error.args else ''
    reason = reason.decode('utf-8', 'replace') if isinstance(reason, bytes) else str(reason)
    if 'too large' in reason or 'repetition size' in reason:
        return f'The pattern is too large ({reason}): use smaller repetitions.'
    if reason.startswith(UNSUPPORTED):
        return f'{reason}. Look-around, back-references and the like are not supported (RE2 syntax).'
    return f'{reason}.'


def glob_to_regex(glob: str) -> str:
    """
    `*` any text, `?` any character, `[abc]`, `[a-z]` and `[!abc]` one of, or none of, these characters.

    Raises:
        PatternError: A bracket is not closed.
    """
    parts, position = [], 0
    while position < len(glob):
        character = glob[position]
        position += 1
        if character == '[':
            # A closing bracket that comes first is one of the characters.
            start = position + 1 if glob[position : position + 1] == '!' else position
            end = glob.find(']', start + 1)
            if end < 0:
                raise PatternError('A [ is not closed. To match a bracket itself, write [[].')
            negation = '^' if start > position else ''
            parts.append(f'[{negation}{escaped_class(glob[start:end])}]')
            position = end + 1
        else:
            parts.append({'*': '.*', '?': '.'}.get(character) or re2.escape(storable(character)))
    return ''.join(parts)


def escaped_class(characters: str) -> str:
    return ''.join(f'\\{character}' if character in r'\[]^' else character for character in characters)


def storable(text: str) -> str:
    """The text as RE2 takes it: half a surrogate pair, which JSON may hold, is no UTF-8."""
    return text.encode('utf-8', 'replace').decode('utf-8')
