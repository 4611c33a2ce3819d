from utilities.testing import TableTestCases

from netbox_proxsync.tables import (
    BindingTable,
    DecisionTable,
    MappingRuleTable,
    ProxmoxEndpointTable,
    ProxmoxGuestTable,
    SyncChangeTable,
    SyncRunTable,
)


class ProxmoxEndpointTableTestCase(TableTestCases.StandardTableTestCase):
    table = ProxmoxEndpointTable


class SyncRunTableTestCase(TableTestCases.StandardTableTestCase):
    table = SyncRunTable


class SyncChangeTableTestCase(TableTestCases.StandardTableTestCase):
    table = SyncChangeTable


class BindingTableTestCase(TableTestCases.StandardTableTestCase):
    table = BindingTable


class DecisionTableTestCase(TableTestCases.StandardTableTestCase):
    table = DecisionTable


class MappingRuleTableTestCase(TableTestCases.StandardTableTestCase):
    table = MappingRuleTable


class ProxmoxGuestTableTestCase(TableTestCases.StandardTableTestCase):
    table = ProxmoxGuestTable
