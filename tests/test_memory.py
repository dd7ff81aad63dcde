"""Large arrays take the memory of those that are gone."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FAULTS = """
import resource, sys
import numpy as np
from cgcnn.memory import keep_freed_memory

if sys.argv[1] == "keep":
    keep_freed_memory()
for i in range(21):
    if i == 1:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(100 << 17)  # 100 MB
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(how: str) -> int:
    return int(subprocess.check_output([sys.executable, "-c", FAULTS, how], cwd=ROOT))


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries keep memory in their own way")
def test_freed_memory_is_kept():
    assert page_faults("leave") > 50 * page_faults("keep")
