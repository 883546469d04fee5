"""Files that get their names when they are complete, and locks on them while they grow."""

from streamcam.files.locks import lock, unlock
from streamcam.files.part_file import (
    begin,
    begin_directory,
    check_output,
    check_part,
    commit,
    discard,
    discard_all,
    end_directory,
    leave_directory,
    part_path,
    same_file,
    sink_error,
    unfinished,
)

__all__ = [
    "begin",
    "begin_directory",
    "check_output",
    "check_part",
    "commit",
    "discard",
    "discard_all",
    "end_directory",
    "leave_directory",
    "lock",
    "part_path",
    "same_file",
    "sink_error",
    "unfinished",
    "unlock",
]
