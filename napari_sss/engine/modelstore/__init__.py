"""A project's own models: kept, named, adopted, rolled back, given to others.

Importing it imports no torch: listing models must be immediate.
"""
