"""
Names that vulture takes for unused although something outside of the package's Python code uses them. It reads this
file, and nothing runs it. Names that NetBox, Django and their libraries define are in pyproject.toml.
"""

# Templates (netbox_proxsync/templates) display these.
_.action_label
asks
buttons
_.display_field_policy
_.display_values
_.get_sync_status_display
_.in_netbox
_.is_next
is_next
may_revoke
_.next_window
_.labelled
_.labelled_fields
_.object_url
_.plan_url
_.remaining_text
_.shown_refusal
_.was_written
_.window_texts
_.without_heading

# Tables and panels name the property of the model by this text.
_.shown_actions
_.shown_units
_.vmid_range

# The API and the command `proxsync_check` read these fields of a report by their names.
_.nodes_online
_.nodes_total

# The API shows the text of a row under this name.
display

# NetBox reads it from clusters.
_.scope_type

# Django's serializers call it.
_.end_object

# Lookups, filters and columns name this field by its text.
_.virtual_machine
virtual_machine

# Members of enumerations that are made from answers of Proxmox VE.
_.ETH
_.OVS_PORT

# Filters, and the fields of their forms: each is a parameter of the lists and of the API.
cluster_group_id
cluster_type_id
attention_guests
created__gte
duplicate
created__lte
extra_tag
extra_tag_id
guest_count
guest_role_id
has_virtual_machine
last_seen_after
last_seen_before
node_device_type_id
node_role_id
pending_guests
platform_id
reason__ic
q
tenant_id
user_id
vlan_group_id

# Fields of the GraphQL schema.
endpoint_name
mapping_rules
proxsync_binding
proxsync_binding_list
proxsync_decision
proxsync_decision_list
proxsync_change
proxsync_change_list
proxsync_endpoint
proxsync_endpoint_list
proxsync_endpoints
proxsync_guest
proxsync_guest_list
proxsync_guests
proxsync_mapping_rule
proxsync_mapping_rule_list
proxsync_node
proxsync_run
proxsync_run_list

# Fields of serializers get their values from these methods.
_.get_candidates
_.get_duration
_.get_messages
_.get_units

# Classes that are imported for annotations in quotes only.
BigIntegerLookup
BranchRow
ClusterFilter
ClusterGroupFilter
ClusterGroupType
ClusterTypeFilter
ClusterTypeType
ContentTypeFilter
DataclassInstance
DeviceRoleFilter
DeviceRoleType
DeviceTypeFilter
DeviceTypeType
IntegerLookup
PlatformFilter
PlatformType
SiteFilter
SiteType
StrPromise
StringArrayLookup
TagFilter
TagType
TenantFilter
TenantType
TypeIs
UserFilter
UserType
VirtualMachineFilter
VirtualMachineType
VLANGroupFilter
VLANGroupType
VRFFilter
VRFType
WithStrawberryObjectDefinition

# Parameters that a protocol of Python, or a method of requests that is overridden, prescribes.
cert
conn
exc_info
memo
verify
without_agent
