"""Maps the values of Proxmox VE to those of NetBox, for the kinds."""
