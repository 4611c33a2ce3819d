"""The buttons of pages and tables, as NetBox's object actions."""

from .attention import *
from .bindings import *
from .decisions import *
from .endpoints import *
from .guests import *
from .runs import *
from .starting import *
