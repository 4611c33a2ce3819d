import logging
import re
from typing import Any, Never

from django.core.exceptions import ImproperlyConfigured
from django.db.models.signals import post_migrate
from netbox.plugins import PluginConfig, get_plugin_config
from packaging.version import Version

from .proxmox.connections import ALLOWED_NETWORKS, DENIED_NETWORKS, ContactPolicy

# pyproject.toml has the same version.
__version__ = '1.0.0rc1'

# NetBox displays the release track after the version: "1.0.0-rc1".
BASE_VERSION = Version(__version__).base_version
RELEASE_TRACK = __version__.removeprefix(BASE_VERSION)

SIZES = ('units', 'mib')


class ProxSyncConfig(PluginConfig):
    name = 'netbox_proxsync'
    verbose_name = 'Proxmox VE'
    description = 'Synchronizes Proxmox VE clusters, nodes, virtual machines and containers into NetBox'
    version = BASE_VERSION
    release_track = RELEASE_TRACK
    author = 'The netbox-proxsync developers'
    author_email = 'developers@netbox-proxsync.example'
    base_url = 'proxsync'
    min_version = '4.7.0'
    max_version = '4.7.99'
    graphql_schema = 'graphql.schema.schema'
    middleware = ['netbox_proxsync.metrics.MetricsMiddleware']
    default_settings = {
        # Passphrases for the stored secrets: the first encrypts, all decrypt. Empty: derived from SECRET_KEY.
        'encryption_keys': [],
        # 'units': memory and disks in units of RAM_BASE_UNIT and DISK_BASE_UNIT, as NetBox shows them; 'mib': in MiB.
        'sizes': 'units',
        # Networks that may be contacted (nodes by API and SSH, proxies): an address must be in an allowed network and
        # in no denied one.
        'allowed_networks': list(ALLOWED_NETWORKS),
        'denied_networks': list(DENIED_NETWORKS),
        # Seconds that a run may take.
        'job_timeout': 7200,
        # Finished runs to keep of each endpoint, and for how long.
        'runs_to_keep': 100,
        'run_retention_days': 90,
        # Where the documentation is, instead of the pages that NetBox serves itself: a URL to which /endpoints, /runs
        # and so on are added. Empty: NetBox's own pages.
        'docs_url': '',
    }

    def ready(self) -> None:
        super().ready()
        validate_settings({name: get_plugin_config(self.name, name) for name in self.default_settings})

        # These imports register the system job, the filter for sensitive request data, the signal receivers, the
        # columns of NetBox's own tables, and the dashboard widget.
        from . import events, jobs, signals, widgets  # noqa: F401
        from .branch_merges import signal_receivers
        from .custom_fields import ensure_custom_fields
        from .endpoints import sensitive_requests  # noqa: F401
        from .log_filters import LOGGER, DatabaseDetailFilter
        from .tables import netbox_columns  # noqa: F401

        logging.getLogger(LOGGER).addFilter(DatabaseDetailFilter())
        events.register()
        signal_receivers.register()
        post_migrate.connect(ensure_custom_fields, sender=self, dispatch_uid='netbox_proxsync.ensure_custom_fields')


def validate_settings(settings: dict[str, Any]) -> None:
    """
    Raises:
        ImproperlyConfigured: A setting of the plugin has an invalid value.
    """

    def refuse(name: str, expected: str) -> Never:
        # The value is not repeated: it may be a key.
        raise ImproperlyConfigured(f"PLUGINS_CONFIG['netbox_proxsync']['{name}'] must be {expected}.")

    keys = settings['encryption_keys']
    if not isinstance(keys, list | tuple) or not all(isinstance(key, str) and key.strip() for key in keys):
        refuse('encryption_keys', 'a list of texts that are not empty')
    if settings['sizes'] not in SIZES:
        refuse('sizes', ' or '.join(repr(size) for size in SIZES))
    for name in ('allowed_networks', 'denied_networks'):
        networks = settings[name]
        try:
            valid = isinstance(networks, list | tuple) and all(isinstance(network, str) for network in networks)
            ContactPolicy.parse(networks if valid else [''], ())
        except ValueError:
            refuse(name, "a list of networks such as '10.0.0.0/8' or '2001:db8::/32'")
    if not settings['allowed_networks']:
        refuse('allowed_networks', "a list of at least one network; ['0.0.0.0/0', '::/0'] allows all")
    if not isinstance(settings['docs_url'], str) or not re.fullmatch(r'(https?://\S+)?', settings['docs_url']):
        refuse('docs_url', "a URL such as 'https://docs.example.com/proxsync', or empty")
    for name in ('job_timeout', 'runs_to_keep', 'run_retention_days'):
        if type(settings[name]) is not int or settings[name] < 1:
            refuse(name, 'a whole number, at least 1')


config = ProxSyncConfig
