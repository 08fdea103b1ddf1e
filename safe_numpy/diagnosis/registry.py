"""Which frameworks are guarded, by name. A new one is one line here and one folder.

It stands apart, since it is read at import.
"""

FRAMEWORKS = {
    "torch": "safe_numpy.frameworks.torch.framework",
    "tensorflow": "safe_numpy.frameworks.tensorflow.framework",
    "keras": "safe_numpy.frameworks.keras",
}
"""the module that a program imports -> our module for it, which has a FRAMEWORK"""
