from .bindings import *
from .custom_fields import *
from .endpoints import *
from .runs import *
