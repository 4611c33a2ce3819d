"""
Creates whole guests with a few statements for many of them, and leaves exactly what NetBox's own `save()` leaves.

What NetBox does for each object (validation, change log, events, search index, counters, ...) is done here for all
objects of a batch at once. `assumptions` checks that NetBox does what is expected, and nothing else; if not, or if an
object is in any way special, the guest is written object by object instead.
"""
