"""Every sentence that a person reads. Short, factual, about this tensor.

One row per cause (the names stand in the frameworks' tables): why it stops the conversion; what the conversion did
about it; and, where nothing can be done or the stock advice is wrong for this tensor, what to do instead.
"""

from __future__ import annotations

import linecache
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from safe_numpy.diagnosis.facts import NO_FACTS, Facts, Problem, Subject
from safe_numpy.messages import table as _table
from safe_numpy.messages.layout import Message, Row, to_ansi, to_html, to_text
from safe_numpy.messages.place import find_rank, name_place
from safe_numpy.messages.table import Line, Table
from safe_numpy.messages.units import format_bytes

if TYPE_CHECKING:
    from safe_numpy.callsite.frames import Site
    from safe_numpy.diagnosis.diagnosis import Diagnosis
    from safe_numpy.ledger.report import Report


@dataclass(frozen=True, slots=True)
class Sentence:
    """What is said of one cause; every field is a template over the cause's facts and ``{x}``."""

    reason: str
    done: str = ""
    """past participle, for the warning in permissive mode"""
    instead: str = ""
    """the way out where there is no fix, or where the stock advice fails"""
    silent: bool = False
    """the stock code gives no error, so no guard is asked: only `to_numpy` and `diagnose` see it"""


SENTENCES: dict[str, Sentence] = {
    "numpy": Sentence(
        "{state}",
        instead="install a NumPy that this torch was built for: `pip install numpy`, "
        "or `pip install 'numpy<2'` for torch 2.2 and older",
    ),
    "meta": Sentence(
        "it is on the meta device: it has a shape and a dtype, and no data",
        instead="the advice to call cpu() fails too; make the tensor on a real device, or load its values "
        "(`module.to_empty(device='cpu')`, then `load_state_dict`)",
    ),
    "fake": Sentence(
        "it is a FakeTensor, made while a program is traced: it has no data",
        instead="convert outside of the traced code (torch.export, torch.compile, FakeTensorMode)",
    ),
    "uninitialized": Sentence(
        "it is a parameter of a lazy module that has seen no input yet: it has no data",
        instead="run the module once on an example, then convert",
    ),
    "freed": Sentence(
        "its storage was freed ({held} of {needed} bytes are left), as FSDP does between uses",
        instead="convert where the parameters are gathered: "
        "`with FullyShardedDataParallel.summon_full_params(module):`",
        silent=True,
    ),
    "vmap": Sentence(
        "torch.vmap is running: it stands for one row of a batch, and holds no value of its own",
        instead="return it from the function given to torch.vmap, and convert the result",
    ),
    "func": Sentence(
        "torch.func.grad or torch.func.jvp is running: the transform wraps it",
        done="unwrapped from a torch.func transform, whose gradient does not see the array",
        instead="detach() does not help here: the transform wraps its result again",
    ),
    "func_closed": Sentence(
        "torch.func.grad or torch.func.jvp is running: it wraps the tensor, and torch before 2.9 shows no value then",
        instead="return it beside the result (`has_aux=True`), and convert it outside of the transform",
    ),
    "functionalize": Sentence(
        "torch.func.functionalize is running: it wraps the value, and numpy() would read uninitialised memory",
        done="unwrapped from torch.func.functionalize",
        instead="numpy() gives no error here, except in strict mode; `safe_numpy.to_numpy({x})` gives the values",
        silent=True,
    ),
    "capture": Sentence(
        "a CUDA graph is being captured on its stream ({device}): copying to the host would break the capture",
        instead="convert before the capture or after `graph.replay()`",
    ),
    "sharded": Sentence(
        "it is a DTensor spread over {ranks} ranks ({placements}): this rank holds a part of it",
        instead="call `{x}.full_tensor()` on every rank of the mesh, then convert; on one rank alone it hangs",
    ),
    "local": Sentence(
        "it is a DTensor; this rank holds all of it",
        done="taken from its DTensor",
    ),
    "pending": Sentence(
        "it is the pending result of a collective",
        done="waited for its collective",
    ),
    "unknown": Sentence(
        "{type} is a tensor subclass with a __torch_dispatch__ of its own: what its values are, only it knows",
        instead="ask {type} for a plain tensor; its documentation says how",
    ),
    "masked": Sentence(
        "it is a MaskedTensor, and a plain array has no mask",
        done="made a masked array",
        instead="np.asarray drops masks; the fix keeps it",
    ),
    "grad": Sentence(
        "autograd records it ({origin}); the graph would be lost",
        done="detached from autograd",
    ),
    "device": Sentence(
        "it lives on {device}; NumPy reads host memory only",
        done="copied {nbytes} from {device} to the CPU",
    ),
    "quantized": Sentence(
        "NumPy has no {dtype}, whose integers mean nothing without scale and zero point",
        done="dequantized {dtype} to float32",
        instead="the integers alone: `{x}.int_repr()`",
    ),
    "float": Sentence(
        "NumPy has no {dtype}",
        done="widened {dtype} to float32",
    ),
    "complex": Sentence(
        "NumPy has no complex32",
        done="widened complex32 to complex64",
    ),
    "exact": Sentence(
        "NumPy has no {dtype}",
        done="read as ml_dtypes.{dtype}",
        instead="`import ml_dtypes`, which has this dtype (dtype='ml_dtypes')",
    ),
    "packed": Sentence(
        "NumPy has no {dtype}; its bytes can be read as {as_dtype}",
        done="read the bytes of {dtype} as {as_dtype}",
    ),
    "layout": Sentence(
        "its layout is {layout}; NumPy has dense arrays only",
        done="made dense, from {layout}",
    ),
    "float8_layout": Sentence(
        "its layout is {layout}; NumPy has dense arrays only",
        done="made dense, from {layout}",
        instead="to_dense() comes after float(): it is not implemented for {dtype}",
    ),
    "conj": Sentence(
        "its conjugation is still to be done (conjugate bit)",
        done="conjugated",
    ),
    "neg": Sentence(
        "its negation is still to be done (negative bit)",
        done="negated",
    ),
    "zero": Sentence(
        "it stands for zeros without holding them (ZeroTensor)",
        done="filled with its zeros",
    ),
    "nested": Sentence(
        "it is a nested tensor: its rows differ in length",
        done="made an object array of its rows",
    ),
    "traced": Sentence(
        "`{function}` is being traced: the tensor stands for a value of later runs",
        instead="use TF operations, or `tf.py_function` inside `{function}`; or convert what `{function}` returns",
    ),
    "traced_by_dataset": Sentence(
        "`Dataset.{operation}` is tracing `{function}`: the tensor stands for every element to come",
        instead="use TF operations, or `tf.py_function` or `tf.numpy_function` inside `{function}`; "
        "tf.config.run_functions_eagerly does not reach a Dataset",
    ),
    "traced_by_keras": Sentence(
        "Keras is tracing its step (fit, evaluate or predict): the tensor stands for a value of later steps",
        instead="use TF operations or keras.ops; or `compile(run_eagerly=True)`, which runs it with values, "
        "and what passes through NumPy then has no gradient",
    ),
    "leaked": Sentence(
        "it was made while `{function}` was traced, and is used outside: it never had a value here",
        instead="return it from `{function}`, and convert what the call returns",
    ),
    "in_graph": Sentence(
        "it belongs to a graph that is being built: it has a value only when that runs",
        instead="`session.run({x})` in TF1 code; in TF2 convert outside of the graph",
    ),
    "variable_in_graph": Sentence(
        "it is a variable, read while `{function}` is being traced",
        instead="use `{x}` itself there, or convert it outside of `{function}`",
    ),
    "keras_tensor": Sentence(
        "it is a placeholder of a Keras model: a shape and a dtype, and no value",
        instead="build a keras.Model from it, call that with values, and convert the result; in a callback, "
        "the numbers are in `logs`",
    ),
    "variant": Sentence(
        "its dtype is variant: it holds a handle to another object",
        instead="take the object: `tf.RaggedTensor.from_variant({x}, dtype, ragged_rank)` for a ragged tensor, "
        "or iterate the dataset",
    ),
    "resource": Sentence(
        "its dtype is resource: it holds a handle to a variable, a table or an iterator",
        instead="convert the variable itself (`variable.numpy()`), or `variable.read_value()`",
    ),
    "sparse_tensor": Sentence(
        "it is a SparseTensor: indices and values, and no array",
        done="made dense, from a SparseTensor",
    ),
    "distributed": Sentence(
        "it is a DTensor sharded over {devices} devices of one client",
        done="gathered from {devices} devices",
    ),
    "distributed_clients": Sentence(
        "it is a DTensor sharded over {clients} clients: this one holds a part of it",
        instead="relayout it to a replicated layout on every client, then convert: on one client alone that hangs",
    ),
    "slices": Sentence(
        "it is an IndexedSlices: some rows of a larger tensor",
        done="made dense, from IndexedSlices",
    ),
    "slices_without_shape": Sentence(
        "it is an IndexedSlices that does not know the shape of the whole (dense_shape is None)",
        instead="convert `{x}.values` and `{x}.indices`, or make it with a dense_shape",
    ),
    "optional": Sentence(
        "it is an Optional: a value, or none",
        done="taken from its Optional",
    ),
    "optional_without_value": Sentence(
        "it is an Optional without a value",
        instead="ask `{x}.has_value()` first",
    ),
    "optional_of_several": Sentence(
        "it is an Optional of several tensors",
        instead="`safe_numpy.to_numpy({x}.get_value())`",
    ),
    "dual": Sentence(
        "it is a dual number of forward-mode AD: it carries a tangent, which the array would lose",
        done="taken from its dual number, whose tangent does not see the array",
        silent=True,
    ),
    "expanded": Sentence(
        "it is expanded: {times} elements share one place in memory, and one write to the array would change them all",
        done="copied out of expanded memory",
        silent=True,
    ),
    "alias": Sentence(
        "it shares the memory of {whom}: {harm}",
        done="copied",
        instead="where nobody writes to the array, `with safe_numpy.mode('explain'):` lets it pass",
        silent=True,
    ),
    "tape": Sentence(
        "a GradientTape records it: the gradient stops here, and tape.gradient gives None for what it came from",
        done="taken from its tape",
        instead="the fix says that this is meant; else compute with TF operations",
        silent=True,
    ),
    "ragged": Sentence(
        "it is a RaggedTensor, of which NumPy makes an array of one object",
        done="made an object array of its rows",
        silent=True,
    ),
    "scalars": Sentence(
        "it is one of {count} 0-d tensors in a list: {consumer} makes a column of objects of them",
        instead="a number of each: `[t.item() for t in ...]`",
        silent=True,
    ),
    "too_large": Sentence(
        "the array would take {needed}, and {limit} may be used",
        instead="convert a part of it, or raise SAFE_NUMPY_MAX_BYTES",
    ),
}

REMARKS: dict[str, str] = {
    "forward": "`{function}` is running: what is computed from the array has no gradient, and learning stops here",
    "accumulated": "collect `loss.item()` or `loss.detach()` where a loss is computed: "
    "as they are, they keep every graph in memory",
    "implicit": "permissive mode converts explicit calls of numpy() alone here (only='explicit'), and this is none",
    "undecided": "permissive mode leaves the choice of a dtype to you here (dtype='raise')",
    "evaluation": "`{module}` is in evaluation mode: inside `with torch.inference_mode():` autograd records nothing",
}
"""what else is to be known, and the usual way out"""

_NOT_WANTED = ("implicit", "undecided")
"""the remarks that say that permissive mode is on, and why it does not convert"""

_LONGEST_WORD = 12
"""a longer name would push every line to the right"""


def explain(diagnosis: Diagnosis) -> str:
    """Return the explanation of a tensor: every reason, what it is, where it stands, and the fix."""
    return to_text(compose(diagnosis))


def explain_in_colour(diagnosis: Diagnosis) -> str:
    """Return the explanation for a terminal."""
    return to_ansi(compose(diagnosis))


def explain_in_html(diagnosis: Diagnosis) -> str:
    """Return the explanation for a notebook."""
    return to_html(compose(diagnosis))


def compose(diagnosis: Diagnosis) -> Message:
    """Return the explanation, in its one shape."""
    return Message(_headline(diagnosis), (_reasons(diagnosis), _subject(diagnosis), _ways_out(diagnosis)))


def _headline(diagnosis: Diagnosis) -> str:
    if diagnosis.named:
        who = f"`{diagnosis.name}`"
    elif diagnosis.inside:
        who = f"A tensor inside `{diagnosis.inside}`"
    else:
        who = f"This tensor (`{diagnosis.name}` below)"
    count = len(diagnosis.problems)
    if count == 0:
        return f"{who} can become a NumPy array as it is."
    what = "should not become a NumPy array this way" if diagnosis.is_silent else "cannot become a NumPy array"
    return f"{who} {what}, for {count} reason{'s' if count > 1 else ''}:"


def _reasons(diagnosis: Diagnosis) -> list[Row]:
    """The problem whose error the user saw stands first, the others in the order of the fix."""
    ordered = sorted(diagnosis.problems, key=lambda p: p is not diagnosis.headline)
    return [Row(p.kind, fill(SENTENCES[p.cause].reason, p.facts, diagnosis)) for p in ordered]


def _subject(diagnosis: Diagnosis) -> list[Row]:
    size = f", {format_bytes(diagnosis.nbytes)}" if diagnosis.nbytes else ""
    rows = [Row(_get_word(diagnosis), f"{diagnosis.subject}{size}")]
    site = diagnosis.site
    if site is not None:
        asides = [f"converted inside {site.library}" if site.library else "", site.rank]
        aside = f"({', '.join(filter(None, asides))})" if any(asides) else ""
        rows.append(Row("line", _describe_site(site), is_code=True, is_cut=True, aside=aside))
    return rows


def _get_word(diagnosis: Diagnosis) -> str:
    return diagnosis.name if len(diagnosis.name) <= _LONGEST_WORD else "tensor"


def _ways_out(diagnosis: Diagnosis) -> list[Row]:
    rows = []
    if diagnosis.shown is not None:
        rows += [Row("fix", diagnosis.shown, is_code=True, is_fix=True), Row("", _sharing(diagnosis))]
    for problem in diagnosis.problems:
        text = fill(SENTENCES[problem.cause].instead, problem.facts, diagnosis)
        if text and (diagnosis.fix is not None or problem.refused):
            rows.append(Row("instead" if diagnosis.fix is None else "note", text))
    rows += [Row("note", fill(REMARKS[r.name], r.facts, diagnosis)) for r in diagnosis.remarks]
    silent = any(SENTENCES[p.cause].silent for p in diagnosis.problems)
    is_on = any(r.name in _NOT_WANTED for r in diagnosis.remarks)
    if diagnosis.problems and diagnosis.convertible and not (silent or is_on or diagnosis.is_silent):
        rows.append(Row("or", "SAFE_NUMPY=permissive converts it for you, with a warning"))
    return rows


def _sharing(diagnosis: Diagnosis) -> str:
    is_short = _get_word(diagnosis) == diagnosis.name and not diagnosis.inside
    whose = diagnosis.name if is_short else "the tensor"
    if diagnosis.shares_memory:
        return f"nothing is copied: writing to the array changes {whose}"
    size = f" of {format_bytes(diagnosis.array_nbytes)}" if diagnosis.array_nbytes else ""
    device = next((p.facts["device"] for p in diagnosis.problems if p.cause == "device"), None)
    wait = f", made once {device} has finished" if device else ""
    return f"a copy{size}{wait}: writing to the array does not change {whose}"


def fill(template: str, facts: Facts, diagnosis: Diagnosis) -> str:
    """Put the facts into a sentence."""
    return template.format_map({"x": diagnosis.name, "nbytes": format_bytes(diagnosis.nbytes), **facts})


ALIASES: dict[str, str] = {
    "": "the array shares its memory",
    "parameter": "the array shares its memory, and it is a parameter: writing to the array changes the model, and "
    "autograd does not notice",
    "leaf": "the array shares its memory, and autograd computes its gradient: writing to the array changes it, and "
    "autograd does not notice",
    "saved": "the array shares its memory, which autograd has saved for backward(): writing to the array gives wrong "
    "gradients",
    "readonly": "the array shares its memory, and is read-only",
    "exported": "the array is a copy, since what DLPack exports could be written to",
}
"""what is to be known of an array that is no copy"""


def warn_converted(diagnosis: Diagnosis, alias: str = "") -> str:
    """Return the warning for a site where permissive mode converted: what it did, and the code to write instead.

    `alias` is the key of what is said of an array that is no copy.
    """
    deeds = ", ".join(fill(SENTENCES[p.cause].done, p.facts, diagnosis) for p in diagnosis.problems)
    share = ALIASES[alias] if diagnosis.shares_memory else "the array is a copy"
    who = f"`{diagnosis.name}`, {diagnosis.subject}," if diagnosis.named else str(diagnosis.subject)
    rank = find_rank()
    return f"{rank + ': ' if rank else ''}{who} became a NumPy array: {deeds}; {share}. Written out: {diagnosis.shown}"


@dataclass(frozen=True, slots=True)
class Why:
    """What `why` says of an error that no guard saw; templates over the facts."""

    headline: str
    note: str = ""


WHYS: dict[str, Why] = {
    "no_error": Why("There is no error to explain."),
    "unrelated": Why("This {type} has nothing to do with converting tensors, as far as safe_numpy can see."),
    "method": Why("`{name}` is the method itself: its parentheses are missing."),
    "array_method": Why(
        "`{name}` is a tensor, and `{attribute}` is a method of arrays.",
        note="it is {what}",
    ),
    "wants_array": Why(
        "`{name}` is a tensor, and an array is wanted here.",
        note="it is {what}",
    ),
    "no_grad": Why(
        "`{name}` is None: `{tensor}` has no gradient.",
        note="backward() has not reached it: it was not called, `{tensor}` is no leaf (see retain_grad), does not "
        "require grad, or its path was cut",
    ),
    "none": Why(
        "`{name}` is None, not a tensor.",
        note="the function that gave it may lack a `return`, or changes something in place",
    ),
    "array": Why("`{name}` needs no {attribute}(): it is in host memory, and no tensor any more ({type})."),
    "container": Why("`{name}` has no {attribute}(): it is a {type} of {count}."),
    "members": Why(
        "`{name}` has no {attribute}(): it is a {type}, which holds tensors.",
        note="they are {members}",
    ),
    "dataset": Why(
        "`{name}` has no {attribute}(): it is a {type}, which gives tensors when it is iterated.",
    ),
    "class": Why(
        "`{name}` is a class, not an instance of it.",
        note="call it, or take the tensor that was made with it",
    ),
    "operator": Why(
        "`{array}` is an array and `{name}` a tensor: NumPy and the tensor's framework do not compute together.",
        note="`{name}` is {what}",
    ),
    "function": Why(
        "`{name}` is a tensor, whose own `{method}` is called by `{function}`, with arguments that only NumPy's takes.",
    ),
    "constructor": Why("`{function}` builds a tensor of numbers, and `{name}` is a list of tensors."),
    "ragged": Why(
        "`{name}` is a list of tensors of shapes {shapes}: no array has both.",
        note="pad them (torch.nn.utils.rnn.pad_sequence), or keep a list: `[t.numpy() for t in ...]`",
    ),
}
"""the errors of part of the way to NumPy that no guard sees"""

WHY_NOTES: dict[str, str] = {
    "": "",
    "stack": "they have one shape: `torch.stack({name})` is one tensor",
    "from_numpy": "to stay with tensors, convert the array instead: `torch.from_numpy({array})`",
    "pillow": "Pillow wants height, width and channels in this order, in uint8",
    "opencv": "OpenCV wants height, width and channels in this order",
}


def say(
    cause: str, facts: Facts = NO_FACTS, fix: str | None = None, note: str = "", site: Site | None = None
) -> Message:
    """Return what `why` says: the reason, the line, and the line corrected."""
    sentence = WHYS[cause]
    where, ways_out = [], []
    if site is not None:
        aside = f"(inside {site.library})" if site.library else ""
        where.append(Row("line", _describe_site(site), is_code=True, is_cut=True, aside=aside))
    if fix is not None:
        ways_out.append(Row("fix", fix, is_code=True, is_fix=True))
    ways_out += [Row("note", t.format_map(facts)) for t in (sentence.note, WHY_NOTES[note]) if t]
    return Message(sentence.headline.format_map(facts), ((), where, ways_out))


HARMS: dict[str, tuple[str, str]] = {
    "parameter": ("{name}, a parameter", "a write to the array changes the model, and autograd does not notice"),
    "leaf": ("{name}, a leaf of autograd's graph", "a write to the array changes it, and autograd does not notice"),
    "saved": ("a value that autograd has saved for backward()", "a write to the array gives wrong gradients"),
}
"""whom a write would harm, and how"""

_SILENT: dict[str, str] = {
    "alias": "{call} would give an array that must not be written to",
    "expanded": "{call} would give an array that must not be written to",
    "tangent": "{call} would drop the derivative without a word",
    "tape": "{call} would drop the gradient without a word",
    "object": "{call} would make objects of tensors",
    "composite": "{call} would make an object of a tensor",
}


def say_silent(kind: str, call: str) -> str:
    """Return the first line of the error for a conversion that works, and should not."""
    return _SILENT.get(kind, "{call} would give wrong values, and no error").format(call=call)


HAZARDS: dict[str, str] = {
    "exported": "the array that DLPack makes of {subject} is silently wrong: {place}",
    "object_array": "NumPy makes an array of one object of {subject}, not an array of its values: "
    "safe_numpy.to_numpy(x) converts it, and so does SAFE_NUMPY=permissive",
    "tape": "numpy() of {subject} inside a GradientTape that records it{place}: the gradient stops here, and "
    "tape.gradient gives None for what it came from. For a value to look at only, say so: tf.stop_gradient(x).numpy()",
}
"""what is said of a conversion that worked, and lost something"""


def warn_hazard(hazard: str, subject: Subject, place: str) -> str:
    """Return the warning for a conversion that worked, and lost something."""
    return HAZARDS[hazard].format(subject=subject, place=place)


OBSTACLES: dict[str, str] = {
    "other": "there were too many lines: which these are, was not booked",
    "unread": "the line does not say which expression is the tensor",
    "conflict": "tensors of different dtypes or layouts came by, and no one expression is right for all",
    "versions": "several versions of the file ran",
    "cell": "it is no file",
    "foreign": "it belongs to an installed package",
    "missing": "the file is not there any more",
    "changed": "the file has changed since it ran",
    "python": "it ran under another version of Python; `safe-numpy fix` under that one can compare",
    "code": "what ran was not made of this file alone (pytest rewrites asserts, for one)",
    "text": "the file says something else at that place",
    "names": "`{name}` means something else in that file",
}
"""why a line cannot be rewritten"""

_MOST_NAMES = 20


def warn_severed(names: Sequence[str], site: Site, expression: str) -> str:
    """Return the warning for parameters that do not learn any more."""
    others = len(names) - _MOST_NAMES
    shown = [*names[:_MOST_NAMES], *([f"{others} others"] if others > 0 else [])]
    who = shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
    place = f"{name_place(site.filename, site.lineno)} `{expression}`".removesuffix(" ``")
    path = "its path was" if len(names) == 1 else "their paths were"
    return f"{who} got no gradient; {path} cut at {place}"


def describe_export(diagnosis: Diagnosis, problems: Sequence[Problem]) -> str:
    """Return why what DLPack exports is not the tensor, and what to write instead."""
    reasons = "; ".join(fill(SENTENCES[p.cause].reason, p.facts, diagnosis) for p in problems)
    return f"{reasons}. Written out: {diagnosis.fix}" if diagnosis.fix else reasons


def not_a_tensor(x: object) -> str:
    """Return the error for something that is no tensor of an imported framework."""
    return f"expected a tensor of torch, TensorFlow or Keras, once that is imported; got {name_type(x)}"


def exhaustible(x: object, path: str) -> str:
    """Return the error for a generator in a nesting."""
    return f"{path} is a {name_type(x)}, which looking into would exhaust: pass `list({path})`"


def endless(path: str) -> str:
    """Return the error for a nesting that contains itself."""
    return f"{path} is one of the containers it stands in: a nesting without end cannot be converted"


def too_deep(name: str) -> str:
    """Return the error for a nesting deeper than the interpreter's stack."""
    return f"{name} is nested too deeply to be looked into"


def name_type(x: object) -> str:
    """Return ``list``, or ``package.Class``."""
    cls = type(x)
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


_MOST_LINES = 30
_REPORT_HEAD = ("time", "times", "moved", "allocated", "causes", "where")


def report(report: Report) -> str:
    """Return the table of what was converted."""
    return _table.to_text(_tabulate(report))


def report_in_html(report: Report) -> str:
    """Return the same table for a notebook."""
    return _table.to_html(_tabulate(report))


def _tabulate(report: Report) -> Table:
    rows, totals = report.rows, report.totals
    if not rows:
        return Table("Permissive mode has converted nothing.", _REPORT_HEAD, 4, (), _describe_processes(report))
    longest = max(row["seconds"] for row in rows) or 1.0
    lines = [Line(_make_cells(row), row["fix"], row["seconds"] / longest) for row in rows[:_MOST_LINES]]
    costs = [f"{format_seconds(totals['seconds'])} waited"] if totals["seconds"] else []
    costs += [f"{format_bytes(n)} moved from {device}" for device, n in totals["moved_from"].items()]
    costs += [f"{format_bytes(totals['bytes_allocated'])} allocated" if totals["bytes_allocated"] else "nothing copied"]
    sites = _count(totals["sites"], "line")
    headline = f"Permissive mode made {_count(totals['count'], 'conversion')} at {sites} of code: {', '.join(costs)}."
    left_out = len(rows) - len(lines)
    notes = [f"{_count(left_out, 'other line')} took less time; `.rows` has them all."] if left_out else []
    return Table(headline, _REPORT_HEAD, 4, lines, (*notes, *_describe_processes(report)))


def _make_cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    asides = [row["expression"] and f"`{row['expression']}`", row["asked_by"] and f"for {row['asked_by']}"]
    place = name_place(row["file"], row["line"]) if row["line"] else "all other lines"
    return (
        format_seconds(row["seconds"]),
        f"{row['count']:,}",
        format_bytes(row["bytes_moved"]) if row["bytes_moved"] else "",
        format_bytes(row["bytes_allocated"]) if row["bytes_allocated"] else "",
        " ".join(row["causes"]),
        "  ".join([place, *filter(None, asides)]),
    )


def _describe_processes(report: Report) -> list[str]:
    processes = report.processes
    notes = []
    if len(processes) > 1:
        names = [f"pid {p.pid}" if p.rank is None else f"rank {p.rank}" for p in processes]
        shown = ", ".join(names[:_MOST_LINES]) + (" …" if len(names) > _MOST_LINES else "")
        notes.append(f"Of {len(processes)} processes: {shown}.")
    unfinished = [f"pid {p.pid}" for p in processes if not p.is_complete]
    if unfinished:
        verb = "was" if len(unfinished) == 1 else "were"
        notes.append(f"{', '.join(unfinished)} {verb} still running, or ended at once: the last figures are missing.")
    return notes


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def format_seconds(seconds: float) -> str:
    """Return ``12 ms`` for 0.012."""
    for factor, unit in ((1, "s"), (1e3, "ms"), (1e6, "µs")):
        if seconds * factor >= 1:
            return f"{seconds * factor:,.{0 if seconds * factor >= 9.95 else 1}f} {unit}"
    return "0 s" if not seconds else "< 1 µs"


def note_own_failure(error: Exception) -> str:
    """Return the one line that is added to the user's error when our own code failed."""
    return f"safe_numpy could not explain this ({type(error).__name__}: {error})"


def note_failed_conversion(error: Exception) -> str:
    """Return the line that is added when permissive mode tried, and the conversion itself failed."""
    return f"safe_numpy tried to convert it: {type(error).__name__}: {error}"


def _describe_site(site: Site) -> str:
    """Return ``file.py:57  the source of that line``."""
    source = site.source or linecache.getline(site.filename, site.lineno).strip()
    return f"{name_place(site.filename, site.lineno)}  {source}".rstrip()
