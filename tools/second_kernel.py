"""A pytest plugin for nbval: a notebook whose kernel does not start is given another, three in all.

A kernel is told its ports before it opens them. Where two processes start kernels at once, both may be told the
same port; one kernel then dies, or never answers (issue 487 of jupyter_client)."""

from nbval import plugin
from nbval.kernel import RunningKernel

TRIES = 3


def running_kernel(*args, **more) -> RunningKernel:
    for left in reversed(range(TRIES)):
        try:
            return RunningKernel(*args, **more)
        except RuntimeError:  # "Kernel died", "Kernel didn't respond": nbval has logged it
            if not left:
                raise


def pytest_configure() -> None:
    plugin.RunningKernel = running_kernel
