"""
Patterns of administrators, matched against names that guests chose.

Neither is trusted: anyone who may rename a guest controls a name, a pattern may be a mistake, and Python's `re` can run
for minutes on `(a+)+$`. Therefore RE2 matches them, whose time is linear in the length of the name, and the size of a
compiled pattern is limited: the worst case takes a few milliseconds.
"""

from functools import lru_cache

import re2

from ..proxmox.messages import Message, as_is

__all__ = ('GLOB', 'REGEX', 'Pattern', 'PatternError', 'compile_pattern', 'glob_to_regex')

GLOB = 'glob'
REGEX = 'regex'
# The memory of a compiled pattern in bytes, from which RE2 derives the number of its instructions (some thousands).
MAX_SIZE = 128 * 1024
# Errors about features of Python and Perl that RE2 lacks, because they cannot be matched in linear time.
UNSUPPORTED = ('invalid perl operator', 'invalid escape sequence')


class PatternError(ValueError):
    """An invalid pattern, with a message for its author."""


class Pattern:
    """
    A compiled pattern. Names are compared without regard to case, as hostnames are.

    A glob must match the whole name; a regular expression may match any part of it.
    """

    def __init__(self, text: str, kind: str = GLOB) -> None:
        """
        Compile a pattern.

        Raises:
            PatternError: It is invalid, or too large.
        """
        self._regex = compile_regex(f'(?s)\\A(?:{glob_to_regex(text)})\\z' if kind == GLOB else text)

    def matches(self, name: str) -> bool:
        """Whether the pattern matches a name."""
        return self._regex.search(storable(name)) is not None


@lru_cache(maxsize=1024)
def compile_pattern(text: str, kind: str = GLOB) -> Pattern:
    """
    The pattern, compiled once.

    Raises:
        PatternError: It is invalid, or too large.
    """
    return Pattern(text, kind)


def compile_regex(text: str) -> 're2._Regexp':
    """
    The compiled regular expression, which ignores case.

    Raises:
        PatternError: It is invalid, or too large.
    """
    options = re2.Options()
    options.max_mem = MAX_SIZE
    options.case_sensitive = False
    # RE2 would write to the worker's standard error.
    options.log_errors = False
    try:
        return re2.compile(storable(text), options)
    except re2.error as error:
        raise PatternError(explain(error)) from None


def explain(error: Exception) -> Message:
    """The reason of an error of RE2, as a sentence for the administrator."""
    reason = error.args[0] if error.args else ''
    reason = reason.decode('utf-8', 'replace') if isinstance(reason, bytes) else str(reason)
    if 'too large' in reason or 'repetition size' in reason:
        return Message('The pattern is too large ({reason}): use smaller repetitions.', reason=reason)
    if reason.startswith(UNSUPPORTED):
        return Message(
            '{reason}. Look-around, back-references and the like are not supported (RE2 syntax).', reason=reason
        )
    return as_is(f'{reason}.')


def glob_to_regex(glob: str) -> str:
    """
    The regular expression of a glob: `*` is any text, `?` any character, `[abc]`, `[a-z]` and `[!abc]` are one of, or
    none of, these characters.

    Raises:
        PatternError: A bracket is not closed.
    """
    parts, position = [], 0
    while position < len(glob):
        character = glob[position]
        position += 1
        if character == '[':
            # A closing bracket in the first position is one of the characters.
            start = position + 1 if glob[position : position + 1] == '!' else position
            end = glob.find(']', start + 1)
            if end < 0:
                raise PatternError(Message('A [ is not closed. To match a bracket itself, write [[].'))
            negation = '^' if start > position else ''
            parts.append(f'[{negation}{escaped_class(glob[start:end])}]')
            position = end + 1
        else:
            parts.append({'*': '.*', '?': '.'}.get(character) or re2.escape(storable(character)))
    return ''.join(parts)


def escaped_class(characters: str) -> str:
    """The characters of a bracket expression with those escaped that have a special meaning there."""
    return ''.join(f'\\{character}' if character in r'\[]^' else character for character in characters)


def storable(text: str) -> str:
    """The text as RE2 accepts it: a lone surrogate, which JSON may contain, is not valid UTF-8."""
    return text.encode('utf-8', 'replace').decode('utf-8')
