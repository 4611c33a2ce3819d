from .attention import *
from .bindings import *
from .changes import *
from .decisions import *
from .endpoints import *
from .guests import *
from .rules import *
from .runs import *
