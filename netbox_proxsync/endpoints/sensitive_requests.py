"""
Requests that contain secrets of endpoints.

The secrets are removed from the request that NetBox uses beyond its end: event rules copy the request into a job, which
would store its form in Redis in plain text. And they are removed from error reports: Django's debug page and its error
mails.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, QueryDict
from django.urls import reverse
from django.utils.datastructures import MultiValueDict
from django.views.debug import get_default_exception_reporter_filter
from netbox.constants import CENSOR_TOKEN

# NetBox registers the request processor that queues events in this module. Processors are entered in the order of their
# registration, and the one below has to come after it.
from netbox.context import current_request
from netbox.context_managers import event_tracking  # noqa: F401
from netbox.utils import register_request_processor

from ..models.secret_destinations import SECRET_FIELDS

__all__ = ('carries_secrets', 'hide_secrets')

# "data": the rows of an import.
SENSITIVE_PARAMETERS = (*SECRET_FIELDS, 'data')
# Attributes of requests that Django reads, and that django-stubs does not know.
SENSITIVE = ('sensitive_post_parameters', list(SENSITIVE_PARAMETERS))
FILTER = 'exception_reporter_filter'
SAFE_METHODS = ('GET', 'HEAD', 'OPTIONS')


@contextmanager
def hide_secrets(request: HttpRequest) -> Iterator[None]:
    """Hide secrets of a request while it is processed: a request processor of NetBox."""
    if request.method in SAFE_METHODS or not request.path.startswith(endpoint_paths()):
        yield
        return
    # For error reports. With Django's decorator instead, the views could not be used in background jobs.
    setattr(request, *SENSITIVE)
    setattr(request, FILTER, reporter_filter())
    token = current_request.set(RequestWithoutSecrets(request))
    try:
        yield
    finally:
        current_request.reset(token)


register_request_processor(hide_secrets)


def endpoint_paths() -> tuple[str, str]:
    """The prefixes of the paths that take secrets: the pages and the REST API of endpoints."""
    return (
        reverse('plugins:netbox_proxsync:proxmoxendpoint_list'),
        reverse('plugins-api:netbox_proxsync-api:proxmoxendpoint-list'),
    )


def carries_secrets(data: Any) -> bool:
    """Whether a row, or one of a list of rows, contains a secret."""
    if isinstance(data, list | tuple):
        return any(map(carries_secrets, data))
    return isinstance(data, dict) and any(data.get(name) for name in SECRET_FIELDS)


def is_sensitive(name: str) -> bool:
    """Whether a parameter of a request may contain a secret."""
    # Fields of a form can have a prefix: "quickadd-token_secret".
    return name.rpartition('-')[2] in SENSITIVE_PARAMETERS


def censored(values: 'QueryDict | MultiValueDict[str, Any]') -> QueryDict:
    """A copy of parameters without secrets."""
    copy = QueryDict(mutable=True)
    for name, texts in values.lists():
        copy.setlist(name, [CENSOR_TOKEN if text else '' for text in texts] if is_sensitive(name) else texts)
    copy._mutable = False
    return copy


class RequestWithoutSecrets:
    """
    A request for code that stores it: change log, events, and plugins that use the current request. It is the same
    request without the parameters that contain secrets, and without files.
    """

    def __init__(self, request: HttpRequest) -> None:
        self._request = request

    def __getattr__(self, name: str) -> Any:
        return getattr(self._request, name)

    # A property, because reading the body before the view does could break the view.
    @property
    def POST(self) -> QueryDict:
        """The parameters of the form, without secrets."""
        return censored(self._request.POST)

    @property
    def GET(self) -> QueryDict:
        """The parameters of the URL, without secrets."""
        return censored(self._request.GET)

    @property
    def FILES(self) -> MultiValueDict[str, Any]:
        """No files."""
        return MultiValueDict()

    @property
    def META(self) -> dict[str, Any]:
        """The headers, without parameters in URLs."""
        query = urlencode([(name, text) for name, texts in self.GET.lists() for text in texts])
        # The page that contains the form can have the same query.
        return {**self._request.META, 'QUERY_STRING': query, 'HTTP_REFERER': ''}


def reporter_filter() -> Any:
    """A filter for error reports that hides parameters and the variables of every function, also in debug mode."""
    default = type(get_default_exception_reporter_filter())
    return type('SecretsFilter', (SecretsFilterMixin, default), {})()


class SecretsFilterMixin:
    """Hides parameters of a request and variables of functions in error reports."""

    def get_post_parameters(self, request: HttpRequest | None) -> Any:
        """The parameters of the form, without secrets."""
        return censored(request.POST) if request is not None else {}

    def get_traceback_frame_variables(self, request: HttpRequest | None, tb_frame: FrameType) -> list[tuple[str, str]]:
        """The names of the variables, without values."""
        # Forms, serializers and libraries hold secrets in variables of many names.
        return [(name, CENSOR_TOKEN) for name in tb_frame.f_locals]
