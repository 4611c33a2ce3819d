"""NetBox's configuration in the stack; the variables of the environment are set by netbox.variables()."""

import os
import sys

from . import loopback
from .netbox import redis_databases, stack_secrets
from .paths import socket_directory
from .postgres import PORT, USER
from .redis import socket

_secrets = stack_secrets()
_database = os.environ['PROXSYNC_STACK_DATABASE']

ALLOWED_HOSTS = ['*']
DATABASES = {
    'default': {
        'NAME': _database,
        'USER': USER,
        'HOST': str(socket_directory()),
        'PORT': PORT,
        'CONN_MAX_AGE': 300,
        # A test run's database is a clone made for it, so the tests use it as it is.
        'TEST': {'NAME': _database},
    }
}
REDIS = {
    name: {'URL': f'unix://{socket()}?db={number}'}
    for name, number in zip(('tasks', 'caching'), redis_databases(int(os.environ['PROXSYNC_STACK_SLOT'])), strict=True)
}
SECRET_KEY = _secrets['secret_key']
API_TOKEN_PEPPERS = {1: _secrets['pepper']}

PLUGINS = os.environ['PROXSYNC_STACK_PLUGINS'].split()
if 'netbox_branching' in PLUGINS:
    from netbox_branching.utilities import DynamicSchemaDict

    DATABASES = DynamicSchemaDict(DATABASES)
    DATABASE_ROUTERS = ['netbox_branching.database.BranchAwareRouter']

if os.environ[loopback.SWITCH] == '1':
    loopback.keep()
    PLUGINS_CONFIG = {'netbox_proxsync': {'allowed_networks': loopback.NETWORKS}}

# Proxmox VE counts memory and disks in powers of two.
RAM_BASE_UNIT = 1024
DISK_BASE_UNIT = 1024

METRICS_ENABLED = os.environ.get('PROXSYNC_STACK_METRICS') == '1'

DEBUG = False
# NetBox makes no migrations for anybody but a developer, which in all else means nothing but looser checks.
DEVELOPER = 'makemigrations' in sys.argv
# No census, no look for new releases.
ISOLATED_DEPLOYMENT = True
CENSUS_REPORTING_ENABLED = False

LOGGING = {
    'version': 1,
    'disable_existing_loggers': False,
    'handlers': {'console': {'class': 'logging.StreamHandler'}},
    'root': {'handlers': ['console'], 'level': 'WARNING'},
}
