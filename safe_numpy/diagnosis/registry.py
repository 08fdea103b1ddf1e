"""Which frameworks are guarded, by name. A new one is one row here and one file in `frameworks`."""

FRAMEWORKS = {
    "torch": "safe_numpy.frameworks.torch.framework",
    "tensorflow": "safe_numpy.frameworks.tensorflow.framework",
    "keras": "safe_numpy.frameworks.keras",
}
"""module that a program imports -> our module for it"""
