"""The phantom eye: made pairs of fundus photographs whose truth is known, in the ODIR challenge's layout."""

from eyeground.phantom.cohort import make_cohort

__all__ = ["make_cohort"]
