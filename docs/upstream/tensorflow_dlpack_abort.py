"""TensorFlow 2.21.0: np.from_dlpack of a string tensor ends the process; the protocol asks for a BufferError."""

import subprocess
import sys

PROGRAM = """
import numpy as np, tensorflow as tf
print("TensorFlow", tf.__version__, flush=True)
try:
    np.from_dlpack(tf.constant("a"))
except Exception as error:
    print("refused:", type(error).__name__, error)
"""
done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
print(done.stdout.strip(), f"exit status {done.returncode}")
sys.exit(done.returncode != 0)
