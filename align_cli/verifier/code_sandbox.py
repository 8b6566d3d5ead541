"""The program that runs one answer's code and its tests, and says how it went.

It stands alone (standard library only), is started afresh for every answer, confines itself before
it reads a line of the answer, and is killed by whoever started it, or by the kernel if that one is
gone. What holds inside:

- limits on CPU seconds, memory, file size and open files, by rlimits (Linux, macOS);
- on Linux (x86-64, ARM64) a seccomp filter, which lets system calls that could touch anything fail
  with "Operation not permitted": opening files for writing, removing and renaming them, new
  processes and programs, sockets, signals to others. Threads are allowed.
"""

import json
import os
import platform
import struct
import sys
from typing import Any

CALLS = {
    # name: (x86-64, ARM64); None where the machine has no such call
    "open": (2, None), "creat": (85, None), "openat2": (437, 437),
    "truncate": (76, 45), "ftruncate": (77, 46), "fallocate": (285, 47),
    "rename": (82, None), "renameat": (264, 38), "renameat2": (316, 276),
    "mkdir": (83, None), "mkdirat": (258, 34), "rmdir": (84, None),
    "unlink": (87, None), "unlinkat": (263, 35),
    "link": (86, None), "linkat": (265, 37), "symlink": (88, None), "symlinkat": (266, 36),
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
    "chown": (92, None), "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54),
    "mknod": (133, None), "mknodat": (259, 33), "utime": (132, None), "utimes": (235, None),
    "utimensat": (280, 88), "futimesat": (261, None),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16),
    "mount": (165, 40), "umount2": (166, 39), "chroot": (161, 51), "pivot_root": (155, 41),
    "fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281),
    "kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131), "pidfd_send_signal": (424, 424),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200),
    "io_uring_setup": (425, 425), "bpf": (321, 280), "keyctl": (250, 219),
    "unshare": (272, 97), "setns": (308, 268), "prctl": (157, 167),
    "setrlimit": (160, 164), "prlimit64": (302, 261),
}  # fmt: skip
"""System calls that fail inside, but `open` only with flags that write; `openat` is like it."""
OPENAT, CLONE, CLONE3 = (257, 56), (56, 220), (435, 435)
ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7), "arm64": (1, 0xC00000B7)}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CLONE_THREAD = 0x10000
ALLOW, REFUSE, ABSENT, KILL = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000
"""Seccomp's answers: go on, EPERM, ENOSYS (callers then fall back), end of the process."""
DETAIL = 300
"""Characters of an error's message that are kept."""


def bpf_program(machine: str) -> list[tuple[int, int, int, int]] | None:
    """The filter as (code, jump if true, jump if false, constant); None for other machines."""
    if machine not in ARCHITECTURES:
        return None
    column, architecture = ARCHITECTURES[machine]
    load_number, load_machine = (0x20, 0, 0, 0), (0x20, 0, 0, 4)
    lines = [load_machine, (0x15, 1, 0, architecture), (0x06, 0, 0, KILL), load_number]
    if machine == "x86_64":  # Calls of the x32 interface would pass under other numbers.
        lines += [(0x35, 0, 1, 0x40000000), (0x06, 0, 0, KILL)]

    def unless(number: int, *then: tuple[int, int, int, int]) -> None:
        lines.append((0x15, 0, len(then), number))
        lines.extend(then)

    def reads_only(argument: int) -> list[tuple[int, int, int, int]]:
        flags = 16 + 8 * argument
        return [(0x20, 0, 0, flags), (0x45, 0, 1, WRITING), (0x06, 0, 0, REFUSE),
                (0x06, 0, 0, ALLOW)]  # fmt: skip

    threads = [(0x20, 0, 0, 16), (0x45, 1, 0, CLONE_THREAD), (0x06, 0, 0, REFUSE),
               (0x06, 0, 0, ALLOW)]  # fmt: skip
    unless(OPENAT[column], *reads_only(2))
    unless(CLONE[column], *threads)
    unless(CLONE3[column], (0x06, 0, 0, ABSENT))
    for name, numbers in CALLS.items():
        number = numbers[column]
        if number is not None:
            unless(number, *(reads_only(1) if name == "open" else [(0x06, 0, 0, REFUSE)]))
    return [*lines, (0x06, 0, 0, ALLOW)]


def close_off() -> bool:
    """Put the filter on this process, for good; False where the platform has none."""
    program = bpf_program(platform.machine()) if sys.platform == "linux" else None
    if program is None:
        return False
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(1, 9, 0, 0, 0)  # PR_SET_PDEATHSIG, SIGKILL: nobody outlives the one who asked
    code = b"".join(struct.pack("HBBI", *line) for line in program)
    buffer = ctypes.create_string_buffer(code)
    pointed = struct.pack("HxxxxxxP", len(program), ctypes.addressof(buffer))
    no_new_privileges, set_filter = 38, 22
    return bool(
        libc.prctl(no_new_privileges, 1, 0, 0, 0) == 0
        and libc.prctl(set_filter, 2, ctypes.create_string_buffer(pointed), 0, 0) == 0
    )


def limit(seconds: int, memory_bytes: int) -> None:
    """Limits of the process: CPU, memory, written bytes, open files, no core dump."""
    import resource

    wanted = {
        resource.RLIMIT_CPU: seconds, resource.RLIMIT_FSIZE: 0, resource.RLIMIT_NOFILE: 32,
        resource.RLIMIT_CORE: 0, resource.RLIMIT_AS: memory_bytes,
    }  # fmt: skip
    for which, value in wanted.items():
        _, hard = resource.getrlimit(which)
        # A second between the two limits of CPU: at the first the process ends by SIGXCPU, which
        # says why; at the second by SIGKILL, which could be anything.
        most = value + 1 if which == resource.RLIMIT_CPU else value
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        try:
            resource.setrlimit(which, (min(value, most), most))
        except (ValueError, OSError):
            # macOS refuses limits of memory; the reply says what holds.
            continue


def run(task: dict[str, Any]) -> dict[str, Any]:
    """`passed`, or what failed: the tests cannot be read, the code raised, a test did."""
    try:
        tests = compile(task["tests"], "<tests>", "exec")
    except (SyntaxError, ValueError) as error:
        return {"outcome": "unreadable", "detail": _said(error)}
    space: dict[str, Any] = {"__name__": "__main__"}
    stage = "code"
    try:
        exec(compile(task["code"], "<code>", "exec"), space)
        stage = "tests"
        exec(tests, space)
    except MemoryError:
        return {"outcome": "memory", "detail": f"{stage}: out of memory"}
    except BaseException as error:  # noqa: BLE001  (the answer may raise anything)
        # SystemExit too: code that ends the program early has passed no test.
        return {"outcome": "failed", "detail": f"{stage}: {_said(error)}"}
    return {"outcome": "passed", "detail": ""}


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:DETAIL]


def main() -> None:
    """One task on stdin, one reply on a copy of stdout that the code does not know of."""
    task = json.loads(sys.stdin.buffer.read())
    replies = os.fdopen(os.dup(1), "w")
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    limit(task["cpu_seconds"], task["memory_bytes"])
    closed = close_off()
    if task["needs_filter"] and not closed:
        reply = {"outcome": "unconfined", "detail": ""}
    else:
        reply = run(task)
    replies.write(json.dumps({**reply, "filtered": closed, "key": task["key"]}))
    replies.flush()
    # Threads and exit handlers of the code get no time.
    os._exit(0)


if __name__ == "__main__":
    main()
