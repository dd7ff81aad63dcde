"""Data sets in the formats of the field, read a chunk at a time.

    source      what every format becomes: names of columns, number of rows, chunks of rows
    tables      CSV and Parquet
    collections folders and ZIP archives of CIFs, with or without the authors' `id_prop.csv`
    pandas_json the JSON of matbench and matminer
    xyz         extended XYZ
    ase_db      databases of ASE
    cells       rows of a chunk -> lattice, atomic numbers, coordinates
    opening     file name -> which of these

Crystals stay as they are in the file until `cells` reads them, so that this can be done by several processes.
"""

from .cells import read_cells
from .opening import open_source
from .source import CRYSTAL_COLUMNS, ID_COLUMNS, DatasetError, Source, row_names

__all__ = ["CRYSTAL_COLUMNS", "ID_COLUMNS", "DatasetError", "Source", "open_source", "read_cells", "row_names"]
