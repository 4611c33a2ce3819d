from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from netbox_proxsync.crypto import Secret, SecretError
from netbox_proxsync.fields import column
from netbox_proxsync.models import ProxmoxEndpoint


class Command(BaseCommand):
    help = (
        'Encrypt the stored secrets with the first of the encryption_keys. Put the new key first and keep the old '
        'ones; afterwards these can be taken away.'
    )

    def handle(self, *args: Any, **options: Any) -> None:
        rotated, lost = 0, []
        for pk in ProxmoxEndpoint.objects.order_by('name').values_list('pk', flat=True):
            with transaction.atomic():
                endpoint = ProxmoxEndpoint.objects.select_for_update(no_key=True).filter(pk=pk).first()
                if endpoint is None:
                    continue
                new, failed = self.rotate(endpoint)
                if new:
                    # By update(), because the secrets do not change and the change log needs no record.
                    ProxmoxEndpoint.objects.filter(pk=pk).update(**new)
            rotated += len(new)
            lost += failed
        if rotated:
            self.stdout.write(f'{rotated} secrets were re-encrypted.')
        elif not lost:
            self.stdout.write('All secrets are encrypted with the first key.')
        if lost:
            names = '\n'.join(f'  {endpoint}: {field}' for endpoint, field in lost)
            raise CommandError(
                f'These secrets cannot be decrypted with any of the keys and are unchanged:\n{names}\n'
                'Add the former key at the end of encryption_keys and repeat this, or enter the secrets again.',
                returncode=1,
            )

    def rotate(self, endpoint: ProxmoxEndpoint) -> tuple[dict[str, Secret], list[tuple[ProxmoxEndpoint, str]]]:
        """The secrets to write by field, and the endpoint and label of each secret that cannot be decrypted."""
        new: dict[str, Secret] = {}
        lost: list[tuple[ProxmoxEndpoint, str]] = []
        for name, secret in endpoint.secrets.items():
            try:
                rotated = secret.rotated()
            except SecretError:
                lost.append((endpoint, str(column(ProxmoxEndpoint, name).verbose_name)))
                continue
            if rotated is not secret:
                new[name] = rotated
        return new, lost
