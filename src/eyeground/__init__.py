"""eyeground (眼底): the open system that reads both eyes."""

__version__ = "0.1.0"

DISCLAIMER = "Research use only. Not a medical device. Not for diagnosis or treatment."
