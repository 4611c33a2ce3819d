"""Filters of lists, of the REST API and of GraphQL."""

from .bindings import *
from .common import *
from .endpoints import *
from .guests import *
from .rules import *
from .runs import *
