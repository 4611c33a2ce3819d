"""NetBox's own WSGI application, and its style sheets and scripts, which a web server in front would serve."""

from django.contrib.staticfiles.handlers import StaticFilesHandler
from netbox.wsgi import application as netbox

application = StaticFilesHandler(netbox)
