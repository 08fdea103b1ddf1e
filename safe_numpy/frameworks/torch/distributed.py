"""Gathering over a process group of `torch.distributed`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch.distributed

from safe_numpy.ledger.report import Report, from_plain, to_plain


def find_gather(group: Any) -> Callable[[Report], list[Report]]:
    """Return what gathers the reports of all ranks of `group`; a collective call, of which each rank gets the result.

    Raises:
        ValueError: `group` is no process group that this process belongs to.
    """
    if not torch.distributed.is_available() or not torch.distributed.is_initialized():
        raise ValueError("expected a process group of torch.distributed; init_process_group() has not been called")
    wanted = None if isinstance(group, str) and group == "world" else group
    if wanted is not None and not isinstance(wanted, torch.distributed.ProcessGroup):
        raise ValueError(f"expected a process group of torch.distributed, or 'world'; got {group!r}")
    size = torch.distributed.get_world_size(wanted)
    if size < 1:
        raise ValueError("this process is no member of that group")

    def gather(own: Report) -> list[Report]:
        gathered: list[Any] = [None] * size
        torch.distributed.all_gather_object(gathered, to_plain(own), group=wanted)
        return [from_plain(plain) for plain in gathered]

    return gather
