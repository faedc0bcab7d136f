"""Which case, and which slice of it, is best annotated next.

A case helps where the model is of two minds about it, where it shows a class of which little
is accepted, and where it stands for many others that are unlike anything accepted. What the
model makes of a case is measured once and kept in the project's folder; ranking itself takes
milliseconds.
"""
