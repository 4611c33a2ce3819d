"""
Branches of netbox-branching, if that plugin is installed. Only this package and `branch_merges` use it; without it,
there is only main.

Every branch has its own bindings, guests and shared objects, which record what runs have written into it. Endpoints,
rules and runs are in main only. So a run in a branch uses two connections to the database, and commits on both.
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

from ..proxmox.messages import EMPTY, Message, as_is, joined
from ..wording import worded

if TYPE_CHECKING:
    from netbox_branching.models import Branch as BranchRow

__all__ = (
    'MAIN',
    'Branch',
    'BranchUnusableError',
    'InBranchError',
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
# The models of this plugin that have a table in every branch.
BRANCHED = ('binding', 'proxmoxguest', 'sharedobject')
QUERY_PARAMETER = '_branch'


class BranchUnusableError(Exception):
    """A branch cannot be used. The message is for users: the reason, and what to do."""


class InBranchError(Exception):
    """A branch is active, and the action is only possible in main."""


@dataclass(frozen=True, slots=True)
class Branch:
    """A branch by its schema ID and name; both are '' for main."""

    schema_id: str
    name: str


MAIN = Branch('', '')


def installed() -> bool:
    """Whether there are branches: the plugin is installed and among NetBox's plugins."""
    return apps.is_installed(PLUGIN)


def active_row() -> 'BranchRow | None':
    """The active branch as the model of netbox-branching; None: main."""
    if not installed():
        return None
    from netbox_branching.contextvars import active_branch

    return active_branch.get()


def active() -> Branch:
    """The branch in which objects are read and written at present; `MAIN` if none is active."""
    row = active_row()
    return Branch(row.schema_id, row.name) if row else MAIN


def in_branch() -> bool:
    """Whether a branch is active."""
    return active() != MAIN


def find(text: str) -> Branch:
    """
    The branch of that name or schema ID.

    Raises:
        BranchUnusableError: There is none, there are two, or it is not ready.
    """
    if not installed():
        raise BranchUnusableError(Message('There are no branches: netbox-branching is not installed.'))
    from netbox_branching.models import Branch as Row

    rows = list(Row.objects.filter(models.Q(name=text) | models.Q(schema_id=text)))
    if len(rows) > 1:
        raise BranchUnusableError(
            Message(
                '"{text}" is the name of one branch and the schema ID of another. Rename the first branch.', text=text
            )
        )
    if not rows:
        ready = [f'"{row.name}" ({row.schema_id})' for row in Row.objects.order_by('name') if row.ready]
        raise BranchUnusableError(
            Message(
                'The branch "{text}" does not exist. These branches are ready: {ready}.',
                text=text,
                ready=joined(ready, ', ') or Message('none'),
            )
        )
    check_usable(rows[0])
    return Branch(rows[0].schema_id, rows[0].name)


def why_unusable(schema_id: str) -> Message:
    """Why a branch cannot be used (any longer), for display; '' if it can be used."""
    try:
        with within(schema_id):
            return EMPTY
    except BranchUnusableError as error:
        return as_is(str(error))


def active_schema() -> str:
    """The schema ID of the active branch, or 'main', for a form that is sent later."""
    return active().schema_id or 'main'


def check_active_schema(shown: str | None) -> None:
    """
    Check that the same branch is active as when a form was shown.

    netbox-branching falls back to main without a message if the branch that a user has chosen is not ready.

    Args:
        shown: `active_schema()` when the form was shown; None: not known.

    Raises:
        BranchUnusableError: Another branch or main is active now.
    """
    if shown is None or shown == active_schema():
        return
    if not in_branch():
        raise BranchUnusableError(
            Message('The active branch has changed since this page was shown: main is active now. Try again.')
        )
    raise BranchUnusableError(
        Message(
            'The active branch has changed since this page was shown: "{branch}" is active now. Try again.',
            branch=active().name,
        )
    )


def row_of(schema_id: str) -> 'BranchRow | None':
    """A branch as the model of netbox-branching; None: there is none of that schema ID."""
    if not installed() or not schema_id:
        return None
    from netbox_branching.models import Branch as Row

    return Row.objects.filter(schema_id=schema_id).first()


def existing(schema_ids: Iterable[str]) -> list[str]:
    """Those of some branches, given by schema ID, that exist."""
    if not installed():
        return []
    from netbox_branching.models import Branch as Row

    return list(Row.objects.filter(schema_id__in=list(schema_ids)).order_by().values_list('schema_id', flat=True))


def check_usable(row: 'BranchRow') -> None:
    """
    Raises:
        BranchUnusableError: Runs cannot work in the branch.
    """
    if not row.ready:
        raise BranchUnusableError(
            joined(
                (
                    Message(
                        'The branch "{branch}" is not ready ({status}).',
                        branch=row.name,
                        status=row.get_status_display(),
                    ),
                    row.get_status_description(),
                )
            )
        )
    if not is_complete(row):
        raise BranchUnusableError(
            Message(
                'The branch "{branch}" was created before the Proxmox VE plugin supported branches, so it has no '
                'bindings of its own. Create a new branch.',
                branch=row.name,
            )
        )


def is_complete(row: 'BranchRow') -> bool:
    """Whether a branch has all tables of this plugin. PostgreSQL would use the table of main for a missing one."""
    # By name, because the models import this package.
    models_of_ours = [apps.get_model('netbox_proxsync', name) for name in BRANCHED]
    names = [f'{row.schema_name}.{model._meta.db_table}' for model in models_of_ours]
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute('SELECT bool_and(to_regclass(name) IS NOT NULL) FROM unnest(%s::text[]) AS name', [names])
        return bool(cursor.fetchone()[0])


@contextmanager
def within(schema_id: str) -> Iterator[None]:
    """
    Read and write in a branch, or in main for '', regardless of the branch that is active outside.

    Raises:
        BranchUnusableError: The branch was deleted or is not ready.
    """
    if not installed():
        if schema_id:
            raise BranchUnusableError(
                Message('The branch of this run is not available: netbox-branching is no longer installed.')
            )
        yield
        return
    from netbox_branching.utilities import activate_branch

    row = None
    if schema_id:
        row = row_of(schema_id)
        if row is None:
            raise BranchUnusableError(Message('The branch of this run was deleted.'))
        check_usable(row)
    with activate_branch(row):
        yield


def connection_of(model: type[models.Model]) -> BaseDatabaseWrapper:
    """The database connection on which the rows of a model are read at present."""
    connection: BaseDatabaseWrapper = connections[router.db_for_read(model)]
    return connection


def aliases() -> tuple[str, ...]:
    """The aliases of the database connections on which a run writes: that of main, and that of the active branch."""
    row = active_row()
    return (DEFAULT_DB_ALIAS,) if row is None else (DEFAULT_DB_ALIAS, row.connection_name)


@contextmanager
def atomic() -> Iterator[None]:
    """
    A transaction, or a savepoint within one, on every connection on which a run writes.

    The outermost one locks the branch, so that it cannot be merged, synced or deleted until the transaction ends.

    Raises:
        BranchUnusableError: The branch became unusable during the run.
    """
    row = active_row()
    with ExitStack() as stack:
        outermost = not connections[DEFAULT_DB_ALIAS].in_atomic_block
        stack.enter_context(transaction.atomic())
        if row is not None:
            if outermost:
                lock(row)
            stack.enter_context(transaction.atomic(using=row.connection_name))
        yield


def lock(row: 'BranchRow') -> None:
    """Lock a branch for the rest of the transaction; the lock is shared with other runs in the branch."""
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute(f'SELECT status FROM {row._meta.db_table} WHERE id = %s FOR SHARE', [row.pk])
        found = cursor.fetchone()
    if found is None:
        raise BranchUnusableError(Message('The branch of this run was deleted.'))
    row.status = found[0]
    check_usable(row)


def refuse_in_branch() -> None:
    """
    Raises:
        InBranchError: A branch is active, so the change would be lost with it.
    """
    if (branch := active()) != MAIN:
        raise InBranchError(
            Message(
                'This object is shared by all branches, and the branch "{branch}" is active. Switch to main and '
                'change it there.',
                branch=branch.name,
            )
        )


def clean_in_main() -> None:
    """
    For objects that are the same in every branch: an edit would apply to main at once, and could refer to objects that
    only the branch has.

    Raises:
        ValidationError: A branch is active.
    """
    try:
        refuse_in_branch()
    except InBranchError as error:
        raise ValidationError(worded(error)) from None


def link(url: str, schema_id: str) -> str:
    """The URL of an object in a branch, regardless of the branch that is active for the user; '': not reachable."""
    if schema_id == active().schema_id:
        return url
    if not schema_id:
        return f'{url}{"&" if "?" in url else "?"}{QUERY_PARAMETER}='
    row = row_of(schema_id)
    if row is None or not row.ready:
        return ''
    return f'{url}{"&" if "?" in url else "?"}{urlencode({QUERY_PARAMETER: schema_id})}'
