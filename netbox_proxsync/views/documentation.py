"""The documentation within NetBox, where the Help buttons lead."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.safestring import mark_safe
from django.views import View
from utilities.views import ConditionalLoginRequiredMixin

from ..documentation import pages, read_page

__all__ = ('DocumentationPageView', 'DocumentationView')


class DocumentationView(ConditionalLoginRequiredMixin, View):
    """The list of pages."""

    def get(self, request: HttpRequest) -> HttpResponse:
        return render(request, 'netbox_proxsync/documentation.html', {'pages': pages()})


class DocumentationPageView(ConditionalLoginRequiredMixin, View):
    """One page. Its address ends in ".md", so that the links between the files work here as well."""

    def get(self, request: HttpRequest, name: str) -> HttpResponse:
        if (page := read_page(name)) is None:
            raise Http404
        title, html = page
        # The text is part of the package, so it is safe.
        context = {'pages': pages(), 'name': name, 'title': title, 'text': mark_safe(html)}
        return render(request, 'netbox_proxsync/documentation.html', context)
