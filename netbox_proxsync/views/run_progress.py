"""The progress of a run, for its page and the page of its endpoint."""

from typing import Any

from django.utils import timezone
from netbox.ui.layout import Column, Layout, Row

from ..models import SyncRun
from ..runs.progress import Progress
from ..ui import panels, run_panels

__all__ = ('progress_context',)

FULL = Layout(
    Row(Column(panels.RunProgressPanel(), run_panels.RunMessagesPanel())),
    Row(Column(panels.RunPanel()), Column(run_panels.RunCountsPanel(), run_panels.RunTimesPanel())),
)
BRIEF = Layout(Row(Column(panels.RunProgressPanel(linked=True), run_panels.RunMessagesPanel())))


def progress_context(run: SyncRun, brief: bool = False) -> dict[str, Any]:
    """The context of `inc/run_progress.html`; `brief` is for other pages than that of the run."""
    return {'run': run, 'progress': Progress.of(run, timezone.now()), 'run_layout': BRIEF if brief else FULL}
