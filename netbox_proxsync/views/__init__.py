from .binding_actions import *
from .bindings import *
from .changes import *
from .endpoint_actions import *
from .endpoints import *
from .guest_actions import *
from .guests import *
from .runs import *
