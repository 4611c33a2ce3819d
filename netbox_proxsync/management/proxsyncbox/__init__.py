"""Taking over the settings of ProxSyncBox, the desktop tool."""
