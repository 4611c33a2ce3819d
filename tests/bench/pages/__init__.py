"""How long the first byte of every page of the plugin takes where there are 10,000 guests: `make bench-pages`."""
