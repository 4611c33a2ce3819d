from .attention import *
from .bulk_edit import *
from .bulk_import import *
from .decisions import *
from .filtersets import *
from .model_forms import *
from .pause import *
from .revert import *
