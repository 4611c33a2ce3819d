"""
Facts of the official API schema (facts.json, made by schema_facts.py): which calls exist in which version, which
parameters they take, which privileges they ask for, and which fields they answer.
"""

import json
import pathlib
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

__all__ = ('FACTS', 'facts', 'match')

FACTS: Mapping[str, Any] = json.loads(pathlib.Path(__file__).with_name('facts.json').read_text())

_AGENT = [['/vms/{vmid}', ['VM.GuestAgent.Audit', 'VM.GuestAgent.Unrestricted'], 'any']]
_AGENT_OLD = [['/vms/{vmid}', ['VM.Monitor'], 'all']]

# Calls that were recorded and that the facts do not cover, and where a server behaves in another way than the schema
# says. All seen on running servers.
CHECKS: Mapping[str, Mapping[int, Any]] = {
    # Without Sys.Audit a part of the options is answered.
    '/cluster/options': {7: None},
    '/cluster/firewall/options': {7: [['/', ['Sys.Audit'], 'all']]},
    '/nodes/{node}/qemu/{vmid}/agent/get-timezone': {7: _AGENT_OLD, 8: _AGENT_OLD, 9: _AGENT},
    '/nodes/{node}/qemu/{vmid}/firewall/options': {7: [['/vms/{vmid}', ['VM.Audit'], 'all']]},
    '/nodes/{node}/rrddata': {7: [['/nodes/{node}', ['Sys.Audit'], 'all']]},
    '/nodes/{node}/services': {7: [['/nodes/{node}', ['Sys.Audit'], 'all']]},
    '/cluster/backup/{id}/included_volumes': {7: [['/', ['Sys.Audit'], 'all']]},
    '/access/users/{userid}/token': {7: 'Permission check failed'},
    '/cluster/log': {7: None},
    '/cluster/tasks': {7: None},
    '/access/domains': {7: None},
    '/access/groups': {7: None},
}
# A rule made of several alternatives fails with a text that names none of them.
UNNAMED = 'Permission check failed'


def _release(major: int) -> str:
    return {7: '7.4', 8: '8.4'}.get(major, '9.2' if major >= 9 else '7.4')


@cache
def facts(template: str, major: int) -> dict[str, Any] | None:
    """What the schema says about a call in a major version; None if the call does not exist there."""
    versions = FACTS.get(template)
    if versions is None:
        return None
    entry = versions[_release(major)]
    return versions[entry] if isinstance(entry, str) else entry


@cache
def exists(template: str, major: int) -> bool:
    """Whether a version knows a call; True for calls that the facts do not cover."""
    return template not in FACTS or facts(template, major) is not None


@cache
def check(template: str, major: int) -> Any:
    """
    The privileges that a call asks for: alternatives of [path, privileges, 'all' or 'any']; a text if it always fails
    with that text; None if it asks for nothing.
    """
    override = CHECKS.get(template)
    if override is not None:
        return override[max((known for known in override if known <= major), default=min(override))]
    entry = facts(template, major)
    return None if entry is None else entry['check']


def _tree() -> dict[str, Any]:
    root: dict[str, Any] = {}
    for template in (*FACTS, *CHECKS):
        node = root
        for part in template.strip('/').split('/'):
            node = node.setdefault('{}' if part.startswith('{') else part, {})
        node.setdefault('', []).append(template)
    return root


_TREE = _tree()


def match(path: str, major: int) -> tuple[str, dict[str, str]] | None:
    """The template of a path ('/nodes/{node}/qemu') with the values of its variables; None if no version knows it."""
    parts = path.strip('/').split('/')
    for templates in _walk(_TREE, parts, 0):
        template = next((known for known in templates if exists(known, major)), templates[0])
        names = template.strip('/').split('/')
        return template, {name[1:-1]: part for name, part in zip(names, parts, strict=True) if name[0] == '{'}
    return None


def _walk(node: dict[str, Any], parts: list[str], index: int) -> Iterator[list[str]]:
    if index == len(parts):
        if '' in node:
            yield node['']
        return
    for key in (parts[index], '{}'):
        if key in node:
            yield from _walk(node[key], parts, index + 1)
