from .bindings import *
from .endpoints import *
from .runs import *
