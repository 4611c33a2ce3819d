import strawberry

from ..choices import (
    ChangeActionChoices,
    ChangeOutcomeChoices,
    DecisionChoices,
    EndpointStatusChoices,
    GuestStateChoices,
    GuestTypeChoices,
    InterfaceNamingChoices,
    MissingAddressesChoices,
    MissingGuestsChoices,
    ObjectEventsChoices,
    PatternTypeChoices,
    RunModeChoices,
    RunStatusChoices,
    SyncStatusChoices,
    TagMatchChoices,
    TLSModeChoices,
    WritePolicyChoices,
)

__all__ = (
    'ProxSyncChangeActionEnum',
    'ProxSyncChangeOutcomeEnum',
    'ProxSyncDecisionEnum',
    'ProxSyncEndpointStatusEnum',
    'ProxSyncGuestStateEnum',
    'ProxSyncGuestTypeEnum',
    'ProxSyncInterfaceNamingEnum',
    'ProxSyncMissingAddressesEnum',
    'ProxSyncMissingGuestsEnum',
    'ProxSyncObjectEventsEnum',
    'ProxSyncPatternTypeEnum',
    'ProxSyncRunModeEnum',
    'ProxSyncRunStatusEnum',
    'ProxSyncSyncStatusEnum',
    'ProxSyncTLSModeEnum',
    'ProxSyncTagMatchEnum',
    'ProxSyncWritePolicyEnum',
)

# Names in the schema are global, and other plugins have endpoints and runs as well.
ProxSyncChangeActionEnum = strawberry.enum(ChangeActionChoices.as_enum('ProxSyncChangeActionEnum', 'action'))
ProxSyncChangeOutcomeEnum = strawberry.enum(ChangeOutcomeChoices.as_enum('ProxSyncChangeOutcomeEnum', 'outcome'))
ProxSyncDecisionEnum = strawberry.enum(DecisionChoices.as_enum('ProxSyncDecisionEnum', 'choice'))
ProxSyncEndpointStatusEnum = strawberry.enum(EndpointStatusChoices.as_enum('ProxSyncEndpointStatusEnum', 'status'))
ProxSyncGuestStateEnum = strawberry.enum(GuestStateChoices.as_enum('ProxSyncGuestStateEnum', 'state'))
ProxSyncGuestTypeEnum = strawberry.enum(GuestTypeChoices.as_enum('ProxSyncGuestTypeEnum', 'type'))
ProxSyncInterfaceNamingEnum = strawberry.enum(
    InterfaceNamingChoices.as_enum('ProxSyncInterfaceNamingEnum', 'interface_naming')
)
ProxSyncMissingAddressesEnum = strawberry.enum(
    MissingAddressesChoices.as_enum('ProxSyncMissingAddressesEnum', 'missing_addresses')
)
ProxSyncMissingGuestsEnum = strawberry.enum(MissingGuestsChoices.as_enum('ProxSyncMissingGuestsEnum', 'missing_guests'))
ProxSyncObjectEventsEnum = strawberry.enum(ObjectEventsChoices.as_enum('ProxSyncObjectEventsEnum', 'object_events'))
ProxSyncPatternTypeEnum = strawberry.enum(PatternTypeChoices.as_enum('ProxSyncPatternTypeEnum', 'pattern_type'))
ProxSyncRunModeEnum = strawberry.enum(RunModeChoices.as_enum('ProxSyncRunModeEnum', 'mode'))
ProxSyncRunStatusEnum = strawberry.enum(RunStatusChoices.as_enum('ProxSyncRunStatusEnum', 'status'))
ProxSyncSyncStatusEnum = strawberry.enum(SyncStatusChoices.as_enum('ProxSyncSyncStatusEnum', 'sync_status'))
ProxSyncTagMatchEnum = strawberry.enum(TagMatchChoices.as_enum('ProxSyncTagMatchEnum', 'tag_match'))
ProxSyncTLSModeEnum = strawberry.enum(TLSModeChoices.as_enum('ProxSyncTLSModeEnum', 'tls_mode'))
ProxSyncWritePolicyEnum = strawberry.enum(WritePolicyChoices.as_enum('ProxSyncWritePolicyEnum', 'write_policy'))
