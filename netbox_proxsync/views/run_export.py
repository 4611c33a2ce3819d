"""The changes of a run as a file. It is streamed, because a run may have tens of thousands of changes."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from django.core.exceptions import PermissionDenied
from django.core.serializers.json import DjangoJSONEncoder
from django.http import Http404, HttpRequest, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from netbox.views.generic.base import BaseObjectView
from utilities.views import register_model_view

from ..models import SyncChange, SyncRun
from ..ui.run_changes import changes_of

__all__ = ('SyncRunExportView',)

ROWS_AT_ONCE = 1000
CHANGE_COLUMNS = ('position', 'unit', 'kind', 'key', 'label', 'action', 'outcome', 'reason', 'message')
FIELD_COLUMNS = ('name', 'owner', 'last', 'now', 'want', 'kept', 'drift')


class Echo:
    """A file-like object that returns what is written to it."""

    @staticmethod
    def write(text: str) -> str:
        return text


def as_csv(run: SyncRun, changes: Iterable[SyncChange]) -> Iterator[str]:
    """One line for each field, and one for a change without fields."""
    writer = csv.writer(Echo())
    yield writer.writerow((*CHANGE_COLUMNS, 'field', *FIELD_COLUMNS[1:]))
    for change in changes:
        values = [getattr(change, name) for name in CHANGE_COLUMNS]
        for field in change.display_fields or [{}]:
            yield writer.writerow([*values, *(field.get(name, '') for name in FIELD_COLUMNS)])


def as_json(run: SyncRun, changes: Iterable[SyncChange]) -> Iterator[str]:
    """The run and its changes, with the stored values of fields."""
    about: dict[str, Any] = {
        'id': run.pk,
        'endpoint': str(run.endpoint),
        'mode': run.mode,
        'status': run.status,
        'request_id': run.request_id,
        'started': run.started,
        'completed': run.completed,
    }
    yield f'{{"run": {dumped(about)},\n"changes": ['
    for number, change in enumerate(changes):
        yield ',\n' if number else '\n'
        yield dumped({**{name: getattr(change, name) for name in CHANGE_COLUMNS}, 'fields': change.fields})
    yield '\n]}\n'


def dumped(data: dict[str, Any]) -> str:
    return json.dumps(data, cls=DjangoJSONEncoder, ensure_ascii=False)


FORMATS: dict[str, tuple[str, Callable[[SyncRun, Iterable[SyncChange]], Iterator[str]]]] = {
    'csv': ('text/csv; charset=utf-8', as_csv),
    'json': ('application/json', as_json),
}


@register_model_view(SyncRun, 'export')
class SyncRunExportView(BaseObjectView):
    """The changes of a run with the filters of its page, from all pages, as CSV or JSON (`format`)."""

    queryset = SyncRun.objects.select_related('endpoint')

    def get_required_permission(self) -> str:
        return 'netbox_proxsync.view_syncrun'

    def get(self, request: HttpRequest, pk: int) -> StreamingHttpResponse:
        run = get_object_or_404(self.queryset, pk=pk)
        if not request.user.has_perm('netbox_proxsync.view_syncchange'):
            raise PermissionDenied
        name = request.GET.get('format', 'csv')
        if name not in FORMATS:
            raise Http404
        content_type, export = FORMATS[name]
        changes = changes_of(run, request.user, request.GET).iterator(chunk_size=ROWS_AT_ONCE)
        return StreamingHttpResponse(
            export(run, changes),
            content_type=content_type,
            headers={'Content-Disposition': f'attachment; filename="proxsync-run-{run.pk}.{name}"'},
        )
