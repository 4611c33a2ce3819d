"""Measures speed against what is promised; `make bench`. Not a test: figures of a busy machine mean nothing."""
