from .bindings import *
from .branches import *
from .custom_fields import *
from .endpoints import *
from .guests import *
from .kept import *
from .rules import *
from .runs import *
