"""pandas: a list of 0-d arrays becomes a column of objects, where NumPy makes numbers of it. So do 0-d tensors."""

import sys

import numpy as np
import pandas as pd

values = [np.array(1.5), np.array(2.5)]
column = pd.Series(values)
print(f"pandas {pd.__version__}, NumPy {np.__version__}: dtype {column.dtype}; np.array gives {np.array(values).dtype}")
sys.exit(column.dtype == object)
