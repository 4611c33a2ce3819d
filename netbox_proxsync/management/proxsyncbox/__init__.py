"""Import of the settings of ProxSyncBox, a desktop tool."""
