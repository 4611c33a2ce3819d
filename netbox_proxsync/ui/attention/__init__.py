"""
What requires a user, over all endpoints: endpoints whose last run failed, plans that wait, conflicts, candidates, and
faults of Proxmox VE. As far as the user may view it: of endpoints that are hidden from the user, nothing counts.
"""

from .details import add_machines, complete
from .overview import attention
from .questions import single_candidates
from .rows import ACKNOWLEDGE, AttentionRow
from .runs import reading_runs

__all__ = ('ACKNOWLEDGE', 'AttentionRow', 'add_machines', 'attention', 'complete', 'reading_runs', 'single_candidates')
