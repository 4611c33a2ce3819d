from netbox.api.routers import NetBoxRouter

from . import views
from .attention import AttentionViewSet

app_name = 'netbox_proxsync'

router = NetBoxRouter()
router.APIRootView = views.ProxSyncRootView
router.register('attention', AttentionViewSet, basename='attention')
router.register('endpoints', views.ProxmoxEndpointViewSet)
router.register('guests', views.ProxmoxGuestViewSet)
router.register('rules', views.MappingRuleViewSet)
router.register('runs', views.SyncRunViewSet)
router.register('changes', views.SyncChangeViewSet)
router.register('bindings', views.BindingViewSet)
router.register('decisions', views.StoredDecisionViewSet)

urlpatterns = router.urls
