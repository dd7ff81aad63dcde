"""How accurate a model is, and how far its contributions can be trusted: everything that a card says is measured here.

accuracy      errors, error quantiles, parity map
sites         contributions of many crystals; means over the training crystals
additive      true effects by the labels alone: additive fit, Shapley split of a factorial
exchange      pairs of one structure that differ in one element
faithfulness  booked against true
ensemble      calibration of error bars, agreement of members
sanity        what must destroy the ranking, and what must not
trust         all of it -> fields of a card
"""

from .accuracy import Accuracy, accuracy, predict
from .additive import AdditiveFit, additive_fit
from .faithfulness import faithfulness
from .sites import pooled_reference, role_references, site_contributions
from .trust import measure

__all__ = [
    "Accuracy",
    "AdditiveFit",
    "accuracy",
    "additive_fit",
    "faithfulness",
    "measure",
    "pooled_reference",
    "predict",
    "role_references",
    "site_contributions",
]
