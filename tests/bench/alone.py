"""
A run without changes in a process of its own, whose memory and caches no other run has used. Prints JSON; see
`syncing`.
"""

import json
import sys
from dataclasses import asdict

from tests.stack import loopback

from .syncing import memory_of_worker, sync


def main() -> None:
    loopback.keep()
    import django

    django.setup()
    from netbox_proxsync.models import ProxmoxEndpoint

    endpoint = ProxmoxEndpoint.objects.get(pk=sys.argv[1])
    idle = memory_of_worker()
    found, run = sync(endpoint, 'unchanged')
    if run.counts:
        raise SystemExit(f'The run has found changes: {run.counts}')
    print(json.dumps({'idle': idle, 'measure': asdict(found)}))


if __name__ == '__main__':
    main()
