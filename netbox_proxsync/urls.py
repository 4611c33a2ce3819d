from django.urls import include, path
from django.views.generic import RedirectView
from utilities.urls import get_model_urls

from . import views

app_name = 'netbox_proxsync'

urlpatterns = [
    path('', RedirectView.as_view(pattern_name='plugins:netbox_proxsync:proxmoxendpoint_list'), name='home'),
    path('attention/', views.AttentionView.as_view(), name='attention'),
    path('attention/<slug:choice>/', views.AttentionResolveView.as_view(), name='attention_resolve'),
    path('reports/orphans/', views.OrphansView.as_view(), name='report_orphans'),
    path('reports/duplicates/', views.DuplicatesView.as_view(), name='report_duplicates'),
    path('reports/without-agent/', views.WithoutAgentView.as_view(), name='report_without_agent'),
    path('docs/', views.DocumentationView.as_view(), name='docs'),
    path('docs/<slug:name>.md', views.DocumentationPageView.as_view(), name='docs_page'),
    path('endpoints/', include(get_model_urls('netbox_proxsync', 'proxmoxendpoint', detail=False))),
    path('endpoints/<int:pk>/', include(get_model_urls('netbox_proxsync', 'proxmoxendpoint'))),
    path('rules/', include(get_model_urls('netbox_proxsync', 'mappingrule', detail=False))),
    path('rules/<int:pk>/', include(get_model_urls('netbox_proxsync', 'mappingrule'))),
    path('guests/', include(get_model_urls('netbox_proxsync', 'proxmoxguest', detail=False))),
    path('guests/<int:pk>/', include(get_model_urls('netbox_proxsync', 'proxmoxguest'))),
    path('runs/', include(get_model_urls('netbox_proxsync', 'syncrun', detail=False))),
    path('runs/<int:pk>/', include(get_model_urls('netbox_proxsync', 'syncrun'))),
    path('changes/', include(get_model_urls('netbox_proxsync', 'syncchange', detail=False))),
    path('changes/<int:pk>/', include(get_model_urls('netbox_proxsync', 'syncchange'))),
    path('decisions/', include(get_model_urls('netbox_proxsync', 'decision', detail=False))),
    path('decisions/<int:pk>/', include(get_model_urls('netbox_proxsync', 'decision'))),
    path('bindings/', include(get_model_urls('netbox_proxsync', 'binding', detail=False))),
    path('bindings/<int:pk>/', include(get_model_urls('netbox_proxsync', 'binding'))),
]
