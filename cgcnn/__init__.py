"""Crystal graph convolutional networks whose predictions can be read atom by atom.

import cgcnn

model = cgcnn.load_model("perovskite-linear")
model.explain("my.cif")
"""

import os

__version__ = "0.1.0"

# Idle threads of torch's OpenMP would otherwise spin; beside other busy programs that makes small crystals 100 times
# slower. It must be set before torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def __getattr__(name: str):
    """`load_model`, imported when it is asked for: torch and pymatgen take seconds."""
    if name != "load_model":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .model import load_model

    return load_model


def __dir__() -> list[str]:
    return [*globals(), "load_model"]
