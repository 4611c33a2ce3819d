"""What requires a user, over all endpoints."""

from collections.abc import Collection

from ...choices import AttentionChoices, ChangeActionChoices
from ...models.users import AnyUser
from .endpoints import failures, faults, plans
from .questions import open_questions
from .rows import ORDER, AttentionRow
from .runs import viewed_endpoints, viewed_runs

__all__ = ('attention',)


def attention(
    user: AnyUser,
    endpoints: Collection[int] | None = None,
    questions: Collection[str] | None = None,
    term: str = '',
) -> list[AttentionRow]:
    """
    What requires a user, the most urgent first, with a number of queries that does not depend on the number of rows.

    Args:
        endpoints: Only of these (pk); None: of all that the user may view.
        questions: Only these of `AttentionChoices`; None: all.
        term: Only rows with this text in the name, key or reason, or in the name of the endpoint.
    """
    found = viewed_endpoints(user, endpoints)
    wanted = set(questions) if questions else set(ORDER)
    runs = viewed_runs(user, found)
    rows = [
        *failures(found, runs),
        *plans(found, runs),
        *(faults(found, runs, user) if AttentionChoices.FAULT in wanted else ()),
        *(open_questions(found, user) if wanted & set(ChangeActionChoices.OPEN) else ()),
    ]
    term = term.strip().lower()
    rows = [row for row in rows if row.question in wanted and (not term or row.matches(term))]
    return sorted(rows, key=lambda row: row.order)
