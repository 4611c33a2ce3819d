"""
Makes facts.json from the data of Proxmox VE's official API viewer.

    python tests/pve/schema_facts.py SCHEMA.json [FACTS.json]

SCHEMA.json holds {'endpoints': {path: {version: the viewer's GET entry, None, or {'same_as': version}}}}. Only facts
are taken over, no texts: for each path and version the type of the answer, its fields with type and whether they may be
absent, the parameters, and the privileges that the call asks for.
"""

import json
import pathlib
import sys
from typing import Any

VERSIONS = ('9.2', '8.4', '7.4')
FACTS = pathlib.Path(__file__).with_name('facts.json')


def derive(schema: dict[str, Any]) -> dict[str, Any]:
    """{path: {version: facts, None (no such call in that version) or the version with the same facts}}."""
    result: dict[str, Any] = {}
    for path, versions in sorted(schema['endpoints'].items()):
        entries: dict[str, Any] = {}
        for version in VERSIONS:
            entry = versions[version]
            while isinstance(entry, dict) and 'same_as' in entry:
                entry = versions[entry['same_as']]
            facts = None if entry is None else _facts(entry)
            same = next((known for known, value in entries.items() if value is not None and value == facts), None)
            entries[version] = same or facts
        result[path] = entries
    return result


def _facts(entry: dict[str, Any]) -> dict[str, Any]:
    returns = entry['returns']
    rows = returns.get('items', {}) if returns.get('type') == 'array' else returns
    properties = rows.get('properties', {})
    return {
        'type': returns.get('type', 'object'),
        'rows': rows.get('type', 'object' if properties else None) if returns.get('type') == 'array' else None,
        'fields': {name: _type(value) for name, value in sorted(properties.items())},
        'required': sorted(name for name, value in properties.items() if not value.get('optional')),
        'parameters': sorted(entry['parameters'].get('properties', {})),
        'check': _check(entry.get('permissions', {}).get('check')),
    }


def _type(value: dict[str, Any]) -> str:
    kind = value.get('type', 'any')
    if kind == 'array' and value.get('items', {}).get('type'):
        return f'array of {value["items"]["type"]}'
    return kind


def _check(check: list[Any] | None) -> list[list[Any]] | None:
    """
    Alternatives of [path, privileges, 'all' or 'any']; None if the call asks for nothing that can be said that way
    (any user may call it, and the rows are filtered; or the rule is about the user itself).
    """
    if not check:
        return None
    if check[0] == 'perm':
        return [[check[1], check[2], 'any' if check[3:4] == ['any'] else 'all']]
    if check[0] == 'or':
        found = [_check(part) for part in check[1:]]
        return None if None in found else [part for parts in found for part in parts]
    return None


if __name__ == '__main__':
    source = pathlib.Path(sys.argv[1])
    target = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else FACTS
    facts = derive(json.loads(source.read_text()))
    lines = [f' {json.dumps(path)}: {json.dumps(value, sort_keys=True)}' for path, value in facts.items()]
    target.write_text('{\n' + ',\n'.join(lines) + '\n}\n')
    print(f'{len(facts)} paths written to {target}')
