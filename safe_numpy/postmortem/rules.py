"""The rules of `why`, in the order in which they are asked."""

from __future__ import annotations

from safe_numpy.postmortem import attributes, cuts, libraries, operands, remote, tensorflow, traced, values
from safe_numpy.postmortem.error_site import Rule

RULES: tuple[Rule, ...] = (
    *(traced.find_traced, tensorflow.find_leaked, tensorflow.find_string, tensorflow.find_gathered),
    *(tensorflow.find_scattered, tensorflow.find_fed, tensorflow.find_recorded, tensorflow.find_no_gradient),
    *(libraries.find_pillow, libraries.find_table, libraries.find_returned, libraries.find_figure),
    *(attributes.find_method, attributes.find_attribute, operands.find_operator),
    *(values.find_format, values.find_item, values.find_from_numpy, values.find_constructor),
    *(libraries.find_numpy_function, libraries.find_opencv, libraries.find_json, operands.find_array_argument),
    *(values.find_index, attributes.find_unbound),
    *(libraries.find_foreign_dtype, libraries.find_placeholder, libraries.find_loader, libraries.find_ragged),
    *(remote.find_pool, cuts.find_cut),
)
