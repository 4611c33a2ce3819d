"""Messages: English texts that remember their templates and parameters."""

import copy
import json
import pickle

import pytest

from netbox_proxsync.proxmox.messages import (
    EMPTY,
    Message,
    as_is,
    as_json,
    choice_of,
    counted,
    from_json,
    joined,
    list_of,
    phrase,
    render,
    templates_of,
)

TRANSLATIONS = {
    '{name} is missing ({reason}).': '({reason}) {name} fehlt.',
    'The node is offline.': 'Der Knoten ist aus.',
    'Two things.': 'Zwei Dinge.',
    '{names} and {last}': '{names} und {last}',
    '{names} or {last}': '{names} oder {last}',
}
PLURALS = {'{number} guest': ('{number} Gast', '{number} Gäste')}


def in_german(message: Message) -> str:
    return render(
        json.loads(json.dumps(message.source)),
        lambda text: TRANSLATIONS.get(text, text),
        lambda one, several, number: PLURALS.get(one, (one, several))[number != 1],
    )


def all_kinds() -> list[Message]:
    offline = Message('The node is offline.')
    return [
        EMPTY,
        offline,
        as_is('VM 100 is locked'),
        Message('{name} is missing ({reason}).', name='web{1}', reason=phrase(offline)),
        counted('{number} guest', '{number} guests', 1),
        counted('{number} guest', '{number} guests', 3, of='pve1'),
        joined((offline, EMPTY, 'Two things.', Message('Two things.'))),
        list_of(['a', 'b', offline.as_phrase()]),
        choice_of(['a', 'b']),
    ]


def test_a_message_is_its_english_text():
    message = Message('{name} is missing ({reason}).', name='web{1}', reason=phrase('The node is offline.'))
    assert message == 'web{1} is missing (The node is offline).'
    assert {message: 1}['web{1} is missing (The node is offline).'] == 1
    assert counted('{number} guest', '{number} guests', 1) == '1 guest'
    assert counted('{number} guest', '{number} guests', 0) == '0 guests'
    assert list_of(['a', 'b', 'c']) == 'a, b and c'
    assert choice_of(['a', 'b']) == 'a or b'
    assert choice_of(['a']) == 'a'
    assert not EMPTY
    assert joined(['', EMPTY]) is EMPTY
    assert Message('Without parameters, {braces} are text') == 'Without parameters, {braces} are text'


def test_it_is_worded_in_another_language():
    assert [in_german(message) for message in all_kinds()] == [
        '',
        'Der Knoten ist aus.',
        'VM 100 is locked',
        '(Der Knoten ist aus) web{1} fehlt.',
        '1 Gast',
        '3 Gäste',
        # Texts are not translated, messages are.
        'Der Knoten ist aus. Two things. Zwei Dinge.',
        'a, b und Der Knoten ist aus',
        'a oder b',
    ]


@pytest.mark.parametrize('message', all_kinds())
def test_it_can_be_stored_and_copied_without_loss(message):
    stored = json.loads(json.dumps(as_json(reason=message)))
    assert stored['reason'] == message
    back = from_json(stored, 'reason')
    assert (back, back.source) == (message, message.source)
    for same in (copy.copy(message), copy.deepcopy(message), pickle.loads(pickle.dumps(message)), str(message)):
        assert type(same) is Message
        assert (same, same.source) == (message, message.source)
    # In its own language, nothing changes.
    assert render(message.source, str, lambda one, several, number: one if number == 1 else several) == message


def test_texts_stored_by_an_older_version_are_displayed_unchanged():
    assert from_json({'reason': 'Two things.'}, 'reason').source is None
    changed = Message('{name} was renamed.', name='web1')
    # A template that no catalog has.
    assert in_german(changed) == 'web1 was renamed.'


@pytest.mark.parametrize('source', [{'template': '{name} left', 'parameters': {'other': 1}}, {'parts': 1}, {'x': 1}])
def test_a_damaged_source_is_refused(source):
    with pytest.raises((AttributeError, IndexError, KeyError, TypeError, ValueError)):
        render(source, str, lambda one, several, number: one)


def test_errors_keep_their_message():
    message = Message('{name} is missing ({reason}).', name='web1', reason='gone')
    assert str(ValueError(message)).source == message.source
    assert Message('Why: {error}', error=ValueError(message)).source['parameters'] == {'error': message.source}
    # Other objects are taken as text, so that no parameter holds a reference to them.
    assert Message('{error}', error=ValueError('text')).source['parameters'] == {'error': 'text'}


def test_placeholders_within_parameters_are_replaced():
    message = Message('{what} ({words})', what=Message('The node is offline.').as_phrase(), words='VM {vmid} of {vmid}')
    done = message.with_text('{vmid}', '100')
    assert done == 'The node is offline (VM 100 of 100)'
    assert in_german(done) == 'Der Knoten ist aus (VM 100 of 100)'
    nodes = Message('On {nodes}.', nodes='{nodes}').with_text('{nodes}', list_of(['a', 'b']))
    assert in_german(nodes) == 'On a und b.'
    assert joined(['{vmid}', as_is('x')]).with_text('{vmid}', '7') == '7 x'
    assert counted('{number} of {of}', '{number} of {of}', 2, of='{vmid}').with_text('{vmid}', '7') == '2 of 7'


def test_its_templates_are_found():
    reason = joined([Message('The node is offline.'), 'x'])
    message = Message('{name} is missing ({reason}).', name='web1', reason=reason)
    assert list(templates_of(message.source)) == ['{name} is missing ({reason}).', 'The node is offline.']
