from .bindings import *
from .changes import *
from .endpoint_actions import *
from .endpoints import *
from .run_actions import *
from .runs import *
