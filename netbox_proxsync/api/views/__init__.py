"""Views of the REST API."""

from .bindings import *
from .decisions import *
from .endpoints import *
from .guests import *
from .root import *
from .rules import *
from .runs import *
