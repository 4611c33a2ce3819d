# NetBox's test of filter sets looks for them in the top-level package of the test.
from netbox_proxsync.filtersets import *
