"""Compares Proxmox VE with NetBox: computes what must change. Runs no query and writes nothing."""
