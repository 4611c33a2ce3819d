"""The background jobs: a run of an endpoint, the look for changed guests before a quick run, and the schedule."""

from .quick import *
from .schedule import *
from .sync import *
