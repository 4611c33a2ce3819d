"""Serializers of the REST API."""

from .attention import *
from .bindings import *
from .endpoints import *
from .guests import *
from .requests import *
from .responses import *
from .rules import *
from .runs import *
