"""
Requests that carry secrets of endpoints.

What NetBox keeps of a request beyond its end holds none of them: event rules copy the request into a job, where its
form would stand in Redis in plain text. And no error report shows them: neither Django's debug page nor its error
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

# NetBox registers the processor that queues events in this module. Processors are entered in the order in which they
# were registered, and ours has to come after it.
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
    """For each request, while it is processed."""
    if request.method in SAFE_METHODS or not request.path.startswith(endpoint_paths()):
        yield
        return
    # For error reports of others; by Django's decorator, the views could not be used in background jobs.
    setattr(request, *SENSITIVE)
    setattr(request, FILTER, reporter_filter())
    token = current_request.set(RequestWithoutSecrets(request))
    try:
        yield
    finally:
        current_request.reset(token)


register_request_processor(hide_secrets)


def endpoint_paths() -> tuple[str, str]:
    """What the paths begin with that take secrets: NetBox's pages and the REST API of endpoints."""
    return (
        reverse('plugins:netbox_proxsync:proxmoxendpoint_list'),
        reverse('plugins-api:netbox_proxsync-api:proxmoxendpoint-list'),
    )


def carries_secrets(data: Any) -> bool:
    """Whether a row, or one of a list of rows, has a secret."""
    if isinstance(data, list | tuple):
        return any(map(carries_secrets, data))
    return isinstance(data, dict) and any(data.get(name) for name in SECRET_FIELDS)


def is_sensitive(name: str) -> bool:
    # Fields of a form can have a prefix: "quickadd-token_secret".
    return name.rpartition('-')[2] in SENSITIVE_PARAMETERS


def censored(values: 'QueryDict | MultiValueDict[str, Any]') -> QueryDict:
    copy = QueryDict(mutable=True)
    for name, texts in values.lists():
        copy.setlist(name, [CENSOR_TOKEN if text else '' for text in texts] if is_sensitive(name) else texts)
    copy._mutable = False
    return copy


class RequestWithoutSecrets:
    """
    A request as those may see it who keep it: change log, events, and the plugins that ask for the current request. It
    is the same request but for what was sent with it.
    """

    def __init__(self, request: HttpRequest) -> None:
        self._request = request

    def __getattr__(self, name: str) -> Any:
        return getattr(self._request, name)

    # Asked for at the end of the request as a rule: to read a body before the view does could break the view.
    @property
    def POST(self) -> QueryDict:
        return censored(self._request.POST)

    @property
    def GET(self) -> QueryDict:
        return censored(self._request.GET)

    @property
    def FILES(self) -> MultiValueDict[str, Any]:
        return MultiValueDict()

    @property
    def META(self) -> dict[str, Any]:
        query = urlencode([(name, text) for name, texts in self.GET.lists() for text in texts])
        # The page from which a form is sent can have the same query.
        return {**self._request.META, 'QUERY_STRING': query, 'HTTP_REFERER': ''}


def reporter_filter() -> Any:
    """Hides what was sent and the variables of every function in Django's error reports, in debug mode too."""
    default = type(get_default_exception_reporter_filter())
    return type('SecretsFilter', (SecretsFilterMixin, default), {})()


class SecretsFilterMixin:
    def get_post_parameters(self, request: HttpRequest | None) -> Any:
        return censored(request.POST) if request is not None else {}

    def get_traceback_frame_variables(self, request: HttpRequest | None, tb_frame: FrameType) -> list[tuple[str, str]]:
        # Forms, serializers and their libraries hold the secrets in variables of many names.
        return [(name, CENSOR_TOKEN) for name in tb_frame.f_locals]
