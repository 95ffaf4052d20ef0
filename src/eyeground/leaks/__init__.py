"""Photographs that are the same though their names differ: fingerprints, duplicates, and the leak audit.

Perceptual hashes don't separate fundus photographs: all of them are a bright disc. Two questions are asked instead.

*Is it the same picture, perhaps saved again, resized, mirrored, lit anew?* Each photograph keeps its SHA-256 and a
`signature` of its fine detail; `search` finds those that agree.

*Is it the same eye, photographed again?* That needs the pixels; `same_eye` decides it by the vessels.
"""

from eyeground.leaks.audit import LeakAudit, audit
from eyeground.leaks.duplicates import find_duplicates, find_same_eyes, groups
from eyeground.leaks.prints import NOTHING, WITHHELD, Fingerprint, Kind, Pair, fingerprints

__all__ = [
    "NOTHING",
    "WITHHELD",
    "Fingerprint",
    "Kind",
    "LeakAudit",
    "Pair",
    "audit",
    "find_duplicates",
    "find_same_eyes",
    "fingerprints",
    "groups",
]
