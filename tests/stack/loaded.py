"""Importing this loads all of NetBox, in a process from which others are forked; see worker.py."""

from importlib import import_module

import django

django.setup()
# Not needed by a worker until a job asks for a URL; then every job would load it.
import_module('netbox.urls')
