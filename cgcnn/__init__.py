"""Crystal graph convolutional networks whose predictions can be read atom by atom."""

__version__ = "0.1.0"
