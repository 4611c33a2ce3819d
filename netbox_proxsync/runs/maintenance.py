"""NetBox's maintenance mode, in which runs must not write."""

from netbox.config import Config

from ..proxmox.messages import Message

__all__ = ('InMaintenanceError', 'refuse_in_maintenance')


class InMaintenanceError(Exception):
    """NetBox is in maintenance mode. The message is displayed to users."""

    def __init__(self) -> None:
        super().__init__(
            Message('NetBox is in maintenance mode, so no run is executed. Run again when maintenance mode is off.')
        )


def refuse_in_maintenance() -> None:
    """
    Raises:
        InMaintenanceError: NetBox is in maintenance mode.
    """
    # Not by get_config(): a worker would use the value from its start.
    if Config().MAINTENANCE_MODE:
        raise InMaintenanceError
