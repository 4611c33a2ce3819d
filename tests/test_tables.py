from utilities.testing import TableTestCases

from netbox_proxsync.tables import BindingTable, ProxmoxEndpointTable, SyncChangeTable, SyncRunTable


class ProxmoxEndpointTableTestCase(TableTestCases.StandardTableTestCase):
    table = ProxmoxEndpointTable


class SyncRunTableTestCase(TableTestCases.StandardTableTestCase):
    table = SyncRunTable


class SyncChangeTableTestCase(TableTestCases.StandardTableTestCase):
    table = SyncChangeTable


class BindingTableTestCase(TableTestCases.StandardTableTestCase):
    table = BindingTable
