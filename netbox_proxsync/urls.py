from django.urls import include, path
from utilities.urls import get_model_urls

from . import views  # noqa: F401

app_name = 'netbox_proxsync'

urlpatterns = [
    path('endpoints/', include(get_model_urls('netbox_proxsync', 'proxmoxendpoint', detail=False))),
    path('endpoints/<int:pk>/', include(get_model_urls('netbox_proxsync', 'proxmoxendpoint'))),
    path('guests/', include(get_model_urls('netbox_proxsync', 'proxmoxguest', detail=False))),
    path('guests/<int:pk>/', include(get_model_urls('netbox_proxsync', 'proxmoxguest'))),
    path('runs/', include(get_model_urls('netbox_proxsync', 'syncrun', detail=False))),
    path('runs/<int:pk>/', include(get_model_urls('netbox_proxsync', 'syncrun'))),
    path('changes/', include(get_model_urls('netbox_proxsync', 'syncchange', detail=False))),
    path('changes/<int:pk>/', include(get_model_urls('netbox_proxsync', 'syncchange'))),
    path('bindings/', include(get_model_urls('netbox_proxsync', 'binding', detail=False))),
    path('bindings/<int:pk>/', include(get_model_urls('netbox_proxsync', 'binding'))),
]
