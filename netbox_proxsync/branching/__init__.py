"""
Branches of netbox-branching, where that plugin is installed. All that is known of it is in this package; without it,
there is main, and no more.

Bindings and guests are in every branch: its copies of them tell what its runs have written. Endpoints, rules and runs
are in main alone. So a run in a branch works with two connections to the database, and what it writes commits on both.
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import DEFAULT_DB_ALIAS, connections, models, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.translation import gettext as _

if TYPE_CHECKING:
    from netbox_branching.models import Branch as BranchRow

__all__ = (
    'MAIN',
    'Branch',
    'BranchUnusable',
    'InBranch',
    'active',
    'active_schema',
    'aliases',
    'atomic',
    'check_active_schema',
    'clean_in_main',
    'connection_of',
    'existing',
    'find',
    'in_branch',
    'installed',
    'link',
    'refuse_in_branch',
    'why_unusable',
    'within',
)  # fmt: skip

PLUGIN = 'netbox_branching'
# What has a copy in every branch, of all that is ours.
BRANCHED = ('binding', 'proxmoxguest', 'sharedobject')
QUERY_PARAMETER = '_branch'


class BranchUnusable(Exception):
    """Why nothing can be read from or written to a branch, and what to do, for people."""


class InBranch(Exception):
    """What can be done in main alone was tried with a branch active."""


@dataclass(frozen=True, slots=True)
class Branch:
    schema_id: str
    name: str


MAIN = Branch('', '')


def installed() -> bool:
    """Whether there are branches: the plugin is installed and among NetBox's plugins."""
    return apps.is_installed(PLUGIN)


def active_row() -> 'BranchRow | None':
    if not installed():
        return None
    from netbox_branching.contextvars import active_branch

    return active_branch.get()


def active() -> Branch:
    """The branch in which everything is read and written at present; `MAIN` if it is none."""
    row = active_row()
    return Branch(row.schema_id, row.name) if row else MAIN


def in_branch() -> bool:
    return active() != MAIN


def find(text: str) -> Branch:
    """
    The branch of that name or schema ID.

    Raises:
        BranchUnusable: There is none, or not one alone, or it is not ready.
    """
    if not installed():
        raise BranchUnusable(_('There are no branches: netbox-branching is not installed.'))
    from netbox_branching.models import Branch as Row

    rows = list(Row.objects.filter(models.Q(name=text) | models.Q(schema_id=text)))
    if len(rows) > 1:
        raise BranchUnusable(
            _('"{text}" is the name of one branch and the schema ID of another. Rename the one.').format(text=text)
        )
    if not rows:
        ready = [f'"{row.name}" ({row.schema_id})' for row in Row.objects.order_by('name') if row.ready]
        raise BranchUnusable(
            _('There is no branch "{text}". Ready are: {ready}.').format(text=text, ready=', '.join(ready) or _('none'))
        )
    check_usable(rows[0])
    return Branch(rows[0].schema_id, rows[0].name)


def why_unusable(schema_id: str) -> str:
    """Why a branch cannot be used (any more), for people; '' if it can."""
    try:
        with within(schema_id):
            return ''
    except BranchUnusable as error:
        return str(error)


def active_schema() -> str:
    """What is active, for a form that acts on it later."""
    return active().schema_id or 'main'


def check_active_schema(seen: str | None) -> None:
    """
    Netbox-branching falls back to main, without a word, when the branch that somebody has chosen is not ready.

    Args:
        seen: `active_schema()` when the form was shown; None: it did not say.

    Raises:
        BranchUnusable: Something else is active by now.
    """
    if seen is None or seen == active_schema():
        return
    raise BranchUnusable(
        _('When this page was shown, something else was active than {now}. Nothing was started; try again.').format(
            now=_('the branch "{branch}"').format(branch=active().name) if in_branch() else _('main')
        )
    )


def row_of(schema_id: str) -> 'BranchRow | None':
    if not installed() or not schema_id:
        return None
    from netbox_branching.models import Branch as Row

    return Row.objects.filter(schema_id=schema_id).first()


def existing(schema_ids: Iterable[str]) -> list[str]:
    """Which of these branches, by schema ID, there still are."""
    if not installed():
        return []
    from netbox_branching.models import Branch as Row

    return list(Row.objects.filter(schema_id__in=list(schema_ids)).order_by().values_list('schema_id', flat=True))


def check_usable(row: 'BranchRow') -> None:
    """Raises BranchUnusable unless a run can work in the branch."""
    if not row.ready:
        raise BranchUnusable(
            _('The branch "{branch}" is not ready ({status}). {description}')
            .format(branch=row.name, status=row.get_status_display(), description=row.get_status_description())
            .strip()
        )
    if not is_complete(row):
        raise BranchUnusable(
            _(
                'The branch "{branch}" was made before Proxmox Sync could work in branches, so it has no bindings of '
                'its own. Make a new branch.'
            ).format(branch=row.name)
        )


def is_complete(row: 'BranchRow') -> bool:
    """Whether a branch has its own copies. Where one is missing, PostgreSQL would take main's table instead."""
    # Not by importing the models, which know of branches themselves.
    models_of_ours = [apps.get_model('netbox_proxsync', name) for name in BRANCHED]
    names = [f'{row.schema_name}.{model._meta.db_table}' for model in models_of_ours]
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute('SELECT bool_and(to_regclass(name) IS NOT NULL) FROM unnest(%s::text[]) AS name', [names])
        return bool(cursor.fetchone()[0])


@contextmanager
def within(schema_id: str) -> Iterator[None]:
    """
    Read and write in a branch, whichever is active outside; '' for main.

    Raises:
        BranchUnusable: It is gone or not ready.
    """
    if not installed():
        if schema_id:
            raise BranchUnusable(_('Its branch cannot be reached: netbox-branching is not installed any more.'))
        yield
        return
    from netbox_branching.utilities import activate_branch

    row = None
    if schema_id:
        row = row_of(schema_id)
        if row is None:
            raise BranchUnusable(_('Its branch was deleted.'))
        check_usable(row)
    with activate_branch(row):
        yield


def connection_of(model: type[models.Model]) -> BaseDatabaseWrapper:
    """The connection on which a model's rows are read at present."""
    connection: BaseDatabaseWrapper = connections[router.db_for_read(model)]
    return connection


def aliases() -> tuple[str, ...]:
    """The connections that a run writes with, by their names: main's, and that of the active branch."""
    row = active_row()
    return (DEFAULT_DB_ALIAS,) if row is None else (DEFAULT_DB_ALIAS, row.connection_name)


@contextmanager
def atomic() -> Iterator[None]:
    """
    A transaction, or a savepoint within one, on every connection that a run writes with.

    The outermost keeps others from merging, syncing or deleting the branch until it ends.

    Raises:
        BranchUnusable: That has happened meanwhile.
    """
    row = active_row()
    with ExitStack() as stack:
        outermost = not connections[DEFAULT_DB_ALIAS].in_atomic_block
        stack.enter_context(transaction.atomic())
        if row is not None:
            if outermost:
                hold(row)
            stack.enter_context(transaction.atomic(using=row.connection_name))
        yield


def hold(row: 'BranchRow') -> None:
    """Keep the branch as it is for the rest of the transaction; other runs may work in it, too."""
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute(f'SELECT status FROM {row._meta.db_table} WHERE id = %s FOR SHARE', [row.pk])
        found = cursor.fetchone()
    if found is None:
        raise BranchUnusable(_('Its branch was deleted.'))
    row.status = found[0]
    check_usable(row)


def refuse_in_branch() -> None:
    """
    Raises:
        InBranch: A branch is active, and what is about to be done would be lost with it.
    """
    if (branch := active()) != MAIN:
        raise InBranch(
            _(
                'This is the same in every branch, and the branch "{branch}" is active. Go back to main and change it '
                'there.'
            ).format(branch=branch.name)
        )


def clean_in_main() -> None:
    """
    For what is the same in every branch: an edit would count in main at once, and may name what only the branch has.

    Raises:
        ValidationError: A branch is active.
    """
    try:
        refuse_in_branch()
    except InBranch as error:
        raise ValidationError(str(error)) from None


def link(url: str, schema_id: str) -> str:
    """The address of something as it is in a branch, whichever is active for who follows it; '': it is out of reach."""
    if schema_id == active().schema_id:
        return url
    if not schema_id:
        return f'{url}{"&" if "?" in url else "?"}{QUERY_PARAMETER}='
    row = row_of(schema_id)
    if row is None or not row.ready:
        return ''
    return f'{url}{"&" if "?" in url else "?"}{urlencode({QUERY_PARAMETER: schema_id})}'
