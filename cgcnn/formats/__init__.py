"""Formats of structures besides CIF, which has a package of its own.

Every reader takes (text, max_sites) and returns a list of (entry name, Cell or StructureError), or raises
StructureError where the text as a whole cannot be read.
"""

MAX_ENTRIES = 1000  # frames or structures of one file that are read
