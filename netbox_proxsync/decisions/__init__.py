"""
Decisions of users: to ignore guests, to stop managing objects, how to resolve conflicts and candidates, which value of
a field applies, and to revoke all that.

While a branch is active, each function raises InBranchError and does nothing: decisions are made in main, and are not
in the change log by which a branch is merged.
"""

from .fields import *
from .linking import *
from .managing import *
from .questions import *
from .resolving import *
from .revoking import *
