"""Measures the speed of syncs; `make bench`. Not a test, because results depend on the load of the machine."""
