"""ABX3 perovskites: roles of the sites, the space of all 18,928 of them, rules and screening.

    roles       geometry -> A, B or X of every site
    lattice     lattice parameters of the space, fitted once
    space       all A, B and anion sets of the prototype
    scores      what a model says of them
    labels      data sets against the space, accuracy of built cells, refitting
    tolerance   tolerance and octahedral factors, charge neutrality
    screening   rules of the periodic table -> candidates, hit rates, group means

Only the roles are imported here; the others stand on the data sets, which need the roles.
"""

from .roles import ROLES, Perovskite, find_perovskite, perovskite_kind, site_roles

__all__ = ["ROLES", "Perovskite", "find_perovskite", "perovskite_kind", "site_roles"]
