from .bindings import *
from .custom_fields import *
from .endpoints import *
from .guests import *
from .runs import *
