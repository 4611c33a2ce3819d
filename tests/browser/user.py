"""A user with a real browser, who notices what goes wrong behind the page as well."""

import os
import shutil
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import BrowserContext, ConsoleMessage, Locator, Page, Request, Response

__all__ = ('Person', 'chromium')

NAMES = ('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable')
PATIENCE = 60_000  # milliseconds, on a machine that does other things besides
# What a page was waiting for when the user went on to another.
LEFT_BEHIND = 'net::ERR_ABORTED'
PHONE = {'width': 390, 'height': 844}
DESK = {'width': 1440, 'height': 900}
# No picture is longer.
LONG = 1800
FADING = 400  # milliseconds
# More than any page has to pass.
MOST_TABS = 400
# Whether an element looks different while it has the focus.
FOCUS_IS_VISIBLE = """element => {
    const look = () => {
        const style = getComputedStyle(element);
        return [style.outlineStyle, style.outlineWidth, style.boxShadow, style.borderColor].join();
    };
    const focused = look();
    element.blur();
    const plain = look();
    element.focus();
    return focused !== plain;
}"""


def chromium() -> str | None:
    """The browser to use: CHROMIUM, or what the system has; None: the one that Playwright has got for itself."""
    names = filter(None, (os.environ.get('CHROMIUM'), *NAMES))
    return next((path for name in names if (path := shutil.which(name))), None)


@dataclass
class Person:
    """
    Attributes:
        troubles: What nobody may see in the console: errors, requests that failed, dialogs that a script has opened.
        shots: Where pictures go; None: none are made.
    """

    context: BrowserContext
    url: str
    shots: Path | None = None
    troubles: list[str] = field(default_factory=list)

    def __post_init__(self):
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.page.on('console', self._console)
        self.page.on('pageerror', lambda error: self.troubles.append(f'script: {error}'))
        self.page.on('requestfailed', self._failed)
        self.page.on('response', self._answered)
        self.page.on('dialog', self._dialog)

    def _console(self, message: ConsoleMessage):
        if message.type == 'error':
            self.troubles.append(f'console: {message.text}')

    def _failed(self, request: Request):
        if request.failure != LEFT_BEHIND:
            self.troubles.append(f'failed: {request.url}: {request.failure}')

    def _answered(self, response: Response):
        if response.status >= 400:
            self.troubles.append(f'{response.status}: {response.url}')

    def _dialog(self, dialog):
        self.troubles.append(f'dialog: {dialog.message}')
        dialog.dismiss()

    def open(self, path: str):
        self.page.goto(f'{self.url}{path}')

    def press(self, name: str, exact: bool = False):
        self.page.get_by_role('button', name=name, exact=exact).first.click()

    def follow(self, name: str, exact: bool = False):
        self.page.get_by_role('link', name=name, exact=exact).first.click()

    def sees(self, text: str, seconds: float = 30) -> Locator:
        """Wait until the page contains a text."""
        found = self.page.get_by_text(text).locator('visible=true').first
        found.wait_for(timeout=seconds * 1000)
        return found

    def sees_the_end(self):
        """Wait until the page of a run shows its result."""
        self.page.get_by_role('link', name='JSON').wait_for(timeout=60_000)

    def tab_to(self, target: Locator, key: str = 'Tab'):
        """Press Tab until an element has the focus, which must be visible. `key` may be Shift+Tab."""
        target.wait_for()
        for _press in range(MOST_TABS):
            self.page.keyboard.press(key)
            if target.evaluate('element => element === document.activeElement'):
                assert target.evaluate(FOCUS_IS_VISIBLE), target
                return
        raise AssertionError(f'{target} cannot be reached by the keyboard')

    @property
    def text(self) -> str:
        """The content of the page, without menu and footer."""
        return self.page.locator('.page-wrapper').inner_text()

    def picture(self, name: str):
        """The page in light and dark, and as wide as a phone."""
        if self.shots is None:
            return
        # What has just happened is no part of the page.
        self.page.evaluate("document.getElementById('django-messages')?.replaceChildren()")
        for mode in ('light', 'dark'):
            self.page.evaluate(f"document.documentElement.setAttribute('data-bs-theme', '{mode}')")
            self._shoot(f'{name}-{mode}')
        self.page.evaluate("document.documentElement.setAttribute('data-bs-theme', 'light')")
        self.page.set_viewport_size(PHONE)
        self._shoot(f'{name}-phone')
        self.page.set_viewport_size(DESK)

    def _shoot(self, name: str):
        size = self.page.viewport_size
        height = min(self.page.evaluate('document.documentElement.scrollHeight'), LONG)
        # As tall as the page, so that NetBox's menu is, too.
        self.page.set_viewport_size({**size, 'height': max(size['height'], height)})
        self.page.evaluate('window.scrollTo(0, 0)')
        # What comes by itself has come, and colors have faded into each other.
        self.page.wait_for_load_state('networkidle')
        self.page.wait_for_timeout(FADING)
        # In 256 colors, a third of the size.
        picture = Image.open(BytesIO(self.page.screenshot())).convert('RGB').quantize(256, dither=Image.Dither.NONE)
        picture.save(self.shots / f'{name}.png', optimize=True)
        self.page.set_viewport_size(size)
