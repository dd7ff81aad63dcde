"""CIF text -> cells of ordered crystals, or one sentence on why not.

Written for two users at once: files as databases, journals and drawing programs write them (symmetry operations or only
a space-group symbol, uncertainties, labels instead of elements), and tables with thousands of P1 cells, where a cell
of five atoms should cost well under 0.1 ms. Hence gemmi for the syntax and the group tables, and numpy for the rest.

    reader      text -> data blocks -> cells
    expansion   listed sites and symmetry -> all atoms of the cell
    sites       the list of atoms: positions, occupancies
    elements    type symbols and labels -> atomic numbers
    symmetry    listed operations and space-group symbols -> operations
    formula     the file's own formula
    values      single values and numbers

Arrows point down this list. Notes, what was decided on the way, are appended to the `notes` that a function is given.
"""

from ..cell import Cell, StructureError
from .reader import read_cif, read_first_cell

__all__ = ["Cell", "StructureError", "read_cif", "read_first_cell"]
