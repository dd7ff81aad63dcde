"""Crystal graph convolutional networks whose predictions can be read atom by atom."""

import os

__version__ = "0.1.0"

# Idle threads of torch's OpenMP would otherwise spin; beside other busy programs that makes small crystals 100 times
# slower. It must be set before torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
