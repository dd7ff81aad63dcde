"""Contributions of whole data sets: a data set and a model -> a folder of Parquet tables, one row a site.

    OUT/score.json         what was scored with what, and how many
    OUT/crystals/*.parquet one row a crystal
    OUT/sites/*.parquet    one row a site
    OUT/unreadable.csv     rows that gave no crystal, with the reason

The data set is cut into chunks of rows, and each chunk ends in one file of either table. They are written under
another name first, so a chunk with both its files is done; a run that was killed goes on with the others. A lock keeps
two runs from working in the same folder.

    tables      columns of the tables, and `Scores`, which reads them
    folder      whose the folder is, and when it is complete
    chunk       rows -> the two files of a chunk
    processes   chunks in several processes of this machine
    cluster     chunks on the machines of a Ray cluster
    run         `score`
"""

from .run import score
from .tables import (
    CRYSTAL_SCHEMA,
    SITE_SCHEMA,
    VERSION,
    Scores,
    ScoringError,
    contents,
    load_scores,
    member_columns,
    site_schema,
)

__all__ = [
    "CRYSTAL_SCHEMA",
    "SITE_SCHEMA",
    "VERSION",
    "Scores",
    "ScoringError",
    "contents",
    "load_scores",
    "member_columns",
    "score",
    "site_schema",
]
