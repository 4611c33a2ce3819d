"""The table of what was measured, and the verdict."""

from collections.abc import Collection

from .catalogue import OWN, Page
from .measuring import Measured, measure
from .people import Person

__all__ = ('Report',)

LINE = '{name:<46} {person:<11} {ms:>6} {ratio:>6} {queries:>5} {sql:>7} {cpu:>7} {verdict}'


class Report:
    """
    Prints a line for each page as it is measured.

    Args:
        bound: Seconds that the first byte may take.
        fine: Answers that are no failure of the page.
    """

    def __init__(self, bound: float, fine: Collection[int]):
        self.bound, self.fine = bound, fine
        self.found: list[Measured] = []
        self.base: dict[tuple[int, str], float] = {}
        titles = {'ms': 'ms', 'queries': 'SQL', 'sql': 'SQL ms', 'cpu': 'CPU ms', 'ratio': 'ratio', 'verdict': ''}
        print(LINE.format(name='page', person='person', **titles).rstrip())

    @staticmethod
    def is_base(page: Page) -> bool:
        return page.name in OWN.values()

    def measure(self, port: int, page: Page, person: Person, times: int):
        found = measure(port, page, person, times)
        self.found.append(found)
        if self.is_base(page):
            self.base[page.rows, person.name] = found.seconds
        print(
            LINE.format(
                name=page.name + ' *' * page.bulk,
                person=person.name,
                ms=f'{found.seconds * 1000:.0f}',
                queries=found.queries,
                sql=f'{found.sql_seconds * 1000:.0f}',
                cpu=f'{found.cpu_seconds * 1000:.0f}',
                ratio=f'{found.seconds / self.base[page.rows, person.name]:.2f}',
                verdict=self.verdict(found),
            ).rstrip(),
            flush=True,
        )

    def verdict(self, found: Measured) -> str:
        if found.status not in self.fine:
            return f'answered with {found.status}'
        told = '' if found.status == 200 else f'answered with {found.status}'
        return 'over the bound' if found.seconds > self.bound else told

    def bad(self, found: Measured) -> bool:
        return found.status not in self.fine or (found.seconds > self.bound and not found.page.bulk)

    def end(self) -> int:
        judged = [it for it in self.found if not it.page.bulk]
        slowest = max(judged, key=lambda it: it.seconds)
        bad = [it for it in self.found if self.bad(it)]
        print(
            f'{len(self.found)} measured; slowest of those that are judged: {slowest.page.name} '
            f'({slowest.person.name}), {slowest.seconds * 1000:.0f} ms; over the bound or failed: {len(bad)}'
        )
        return int(bool(bad))
