"""
The objects that the stack creates in NetBox: the admin user, and for the demo one endpoint and its first sync.

Run as `python -m tests.stack.seed admin|demo`. The values come from the environment, because arguments are public.
"""

import os
import sys
import time
from collections import Counter

import django
from django.core.exceptions import ValidationError

ADMIN = 'admin'
SYNC_SECONDS = 600


def admin() -> None:
    """
    Make sure that the admin user exists and has the password ADMIN_PASSWORD. A password that a user has set is
    retained, one of KNOWN_PASSWORDS (the stack's own) is replaced.
    """
    from users.models import User

    password = os.environ['ADMIN_PASSWORD']
    user, created = User.objects.get_or_create(username=ADMIN, defaults={'is_superuser': True})
    if not created and not any(user.check_password(known) for known in os.environ['KNOWN_PASSWORDS'].split()):
        print('Its password is the one you gave it.')
        return
    if created or not user.check_password(password):
        user.set_password(password)
        user.save()


def site():
    """The site of the demo's nodes: NetBox requires a site for every device."""
    from dcim.models import Site

    return Site.objects.get_or_create(slug='demo', defaults={'name': 'Demo'})[0]


def endpoint():
    """The endpoint named ENDPOINT_NAME, created or updated with the Proxmox VE that the environment names."""
    from netbox_proxsync.choices import TLSModeChoices
    from netbox_proxsync.models import ProxmoxEndpoint

    name = os.environ['ENDPOINT_NAME']
    found = ProxmoxEndpoint.objects.filter(name=name).first()
    if found is None:
        found = ProxmoxEndpoint(name=name, site=site(), create_vlans=True)
    want = {
        'hosts': [os.environ['PVE_HOST']],
        'token_id': os.environ['PVE_TOKEN_ID'],
        'token_secret': os.environ['PVE_TOKEN_SECRET'],
        'tls_mode': TLSModeChoices.FINGERPRINT,
        'fingerprint': os.environ['PVE_FINGERPRINT'],
    }
    before = {key: getattr(found, key) for key in want}
    if found.pk:
        found.snapshot()
    for key, value in want.items():
        setattr(found, key, value)
    try:
        found.full_clean()
    except ValidationError as error:
        names = {'hosts': 'PVE_HOST', 'token_id': 'PVE_TOKEN_ID', 'token_secret': 'PVE_TOKEN_SECRET'}
        reasons = error.message_dict.items()
        sys.exit('\n'.join(f'{names.get(field, field)}: {" ".join(texts)}' for field, texts in reasons))
    # Compared as full_clean() leaves them, so that a second run finds nothing to save.
    if found.pk is None or any(getattr(found, key) != value for key, value in before.items()):
        found.save()
    return found


def demo() -> None:
    """One endpoint, synced by the worker unless it has been; exits with 1 when the sync did not complete."""
    from users.models import User

    from netbox_proxsync.choices import RunModeChoices, RunStatusChoices
    from netbox_proxsync.jobs import AlreadyRunningError, SyncJob
    from netbox_proxsync.models import SyncRun

    target = endpoint()
    runs = SyncRun.objects.filter(endpoint=target, mode=RunModeChoices.SYNC)
    if runs.filter(status=RunStatusChoices.COMPLETED).exists():
        return
    print(f'Syncing {target.name} ({", ".join(target.hosts)}).', flush=True)
    try:
        run = SyncJob.enqueue_run(target, user=User.objects.get(username=ADMIN), mode=RunModeChoices.SYNC)
    except AlreadyRunningError as error:
        run = error.run
    deadline = time.monotonic() + SYNC_SECONDS
    while run.status not in RunStatusChoices.FINISHED:
        if time.monotonic() > deadline:
            sys.exit(f'The sync has not finished after {SYNC_SECONDS} seconds. See .stack/log/worker.log.')
        time.sleep(0.3)
        run.refresh_from_db()
    if run.status != RunStatusChoices.COMPLETED:
        sys.exit(f'The sync {run.get_status_display().lower()}: {run.error}')
    numbers = Counter[str]()
    for actions in run.counts.values():
        numbers.update(actions)
    changes = ', '.join(f'{number} {action}' for action, number in numbers.items())
    print(f'Synced {run.guests} guests. Changes in NetBox: {changes or "none"}.')


if __name__ == '__main__':
    django.setup()
    {'admin': admin, 'demo': demo}[sys.argv[1]]()
