"""Gathering over a process group of `torch.distributed`. What is gathered is plain objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch.distributed

from safe_numpy.messages.units import RANK_SOURCES


def find_rank_in_group() -> tuple[int, int] | None:
    """Return the rank in the default process group, and its size; None where there is no such group.

    A fake group, made to try out sharding, has one process whatever its size.
    """
    distributed = torch.distributed
    if not distributed.is_available() or not distributed.is_initialized() or distributed.get_backend() == "fake":
        return None
    return distributed.get_rank(), distributed.get_world_size()


RANK_SOURCES["torch"] = find_rank_in_group


def gather_over(group: Any, make: Callable[[], Any]) -> list[Any]:
    """Return what `make` gives on all ranks of `group`; a collective call, of which each rank gets the result.

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
    gathered: list[Any] = [None] * size
    torch.distributed.all_gather_object(gathered, make(), group=wanted)
    return gathered
