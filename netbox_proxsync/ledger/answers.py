"""The decisions of users about single objects, as plain data."""

from collections import defaultdict

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS

from ..models import Decision, ProxmoxEndpoint
from ..sync.answers import Answer, Choice
from ..sync.values import Pointer
from .bindings import content_types

__all__ = ('load_answers',)


def load_answers(endpoint: ProxmoxEndpoint) -> dict[tuple[str, str], Answer]:
    """
    The decisions about an endpoint by (kind, key), by one query, and one for each model of the objects they name.
    Without those whose object does not exist, in main or in the active branch.
    """
    rows = list(Decision.objects.using(DEFAULT_DB_ALIAS).filter(endpoint_id=endpoint.pk).order_by())
    if not rows:
        return {}
    types = content_types()
    wanted: dict[str, set[int]] = defaultdict(set)
    for row in rows:
        if row.object_type_id and row.object_id:
            wanted[types[row.object_type_id]].add(row.object_id)
    existing = {
        Pointer(model, pk)
        for model, pks in wanted.items()
        for pk in apps.get_model(model)._base_manager.filter(pk__in=pks).values_list('pk', flat=True)
    }
    answers = {}
    for row in rows:
        pointer = Pointer(types[row.object_type_id], row.object_id) if row.object_type_id and row.object_id else None
        if pointer is None or pointer in existing:
            answers[row.kind, row.key] = Answer(Choice(row.choice), pointer, row.created, row.name)
    return answers
