from .bindings import *
from .changes import *
from .endpoint_actions import *
from .endpoints import *
from .runs import *
