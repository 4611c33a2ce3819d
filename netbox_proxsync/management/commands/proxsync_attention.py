import json
from typing import Any, cast

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from users.models import User

from netbox_proxsync.choices import AttentionChoices, DecisionChoices, choices_of
from netbox_proxsync.management.endpoints import find_endpoint
from netbox_proxsync.models.users import AnyUser
from netbox_proxsync.ui.attention import ACKNOWLEDGE, AttentionRow, attention, complete
from netbox_proxsync.ui.bulk_resolutions import REFUSALS, answerable, resolve

NOTHING_TO_DO = 0
FAILED = 1
NEEDS_ATTENTION = 2

ACTIONS = {
    'link_candidates': DecisionChoices.LINK,
    'create_separately': DecisionChoices.SEPARATE,
    'ignore': DecisionChoices.IGNORE,
    'acknowledge': ACKNOWLEDGE,
}


class Command(BaseCommand):
    help = (
        'List what requires a user, or decide about it. Exit status: 0 nothing does, or all decisions were stored; '
        '2 something does (list); 1 a decision was refused.'
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument('endpoint', nargs='*', help='Name or numeric ID of the endpoint. Default: all endpoints')
        parser.add_argument(
            '--type', action='append', choices=[name for name, _label in choices_of(AttentionChoices)],
            help='Only rows of this type; may be repeated',
        )  # fmt: skip
        parser.add_argument('--search', default='', metavar='TEXT', help='Only rows with this text')
        parser.add_argument('--json', action='store_true', help='Print JSON, one line for each row')
        parser.add_argument(
            '--user', metavar='NAME',
            help='List what this user can view. Decisions are stored for this user and require the permissions',
        )  # fmt: skip
        what = parser.add_mutually_exclusive_group()
        for name, text in (
            ('--link-candidates', 'Link guests and nodes to their only candidates'),
            ('--create-separately', 'Create new objects for guests and nodes with candidates'),
            ('--ignore', 'Ignore the guests and addresses'),
            ('--acknowledge', 'Acknowledge the faults of Proxmox VE'),
        ):
            what.add_argument(name, action='store_true', help=text)

    def handle(self, *args: Any, **options: Any) -> None:
        user = self.user(options)
        endpoints = {find_endpoint(name).pk for name in options['endpoint']} or None
        rows = attention(user, endpoints, options['type'], options['search'])
        choice = next((choice for name, choice in ACTIONS.items() if options[name]), None)
        if choice is not None:
            self.decide(answerable(rows, choice, user), choice, user)
        elif rows:
            complete(rows, user)
            for row in rows:
                self.stdout.write(json.dumps(as_json(row)) if options['json'] else as_line(row))
            raise SystemExit(NEEDS_ATTENTION)

    def user(self, options: dict[str, Any]) -> AnyUser:
        """
        The user who looks and decides.

        Raises:
            CommandError: There is no such user, or decisions are to be made without one.
        """
        if options['user'] is not None:
            user = User.objects.filter(username=options['user'], is_active=True).first()
            if user is None:
                raise CommandError(f'There is no active user "{options["user"]}".', returncode=FAILED)
            return cast(AnyUser, user)
        if any(options[name] for name in ACTIONS):
            raise CommandError('Specify the user of the decision: --user NAME.', returncode=FAILED)
        # Not stored: the command lists everything, as its user has access to the server.
        return User(username='', is_superuser=True)

    def decide(self, rows: list[AttentionRow], choice: str, user: AnyUser) -> None:
        """Make decisions and print them."""
        try:
            found = resolve(rows, choice, user)
        except REFUSALS as error:
            raise CommandError(str(error), returncode=FAILED) from None
        for name, reason in found.refused:
            self.stderr.write(f'{name}: {reason}')
        self.stdout.write(f'{found.number} of {len(rows)} decisions were stored.')
        if found.refused:
            raise SystemExit(FAILED)


def as_json(row: AttentionRow) -> dict[str, Any]:
    """A row for programs."""
    return {
        'id': row.pk,
        'type': row.question,
        'endpoint': row.endpoint.name,
        'kind': row.kind,
        'key': row.key,
        'label': row.label,
        'reason': row.reason,
        'since': row.since.isoformat() if row.since else None,
        'run': row.run.pk if row.run else None,
        'change': row.change_id,
        'object': str(row.object) if row.object else None,
    }


def as_line(row: AttentionRow) -> str:
    """A row for readers."""
    since = f'{timezone.localtime(row.since):%Y-%m-%d %H:%M}' if row.since else ''
    name = f'{row.label} ({row.key})' if row.key and row.key != row.label else row.label
    return f'{row.question:<10}{row.endpoint.name}  {name}  {since}  {row.reason}'
