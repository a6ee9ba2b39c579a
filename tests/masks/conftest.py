"""Run the tests of masks with both backends of the region kernel."""

from importlib.util import find_spec

import pytest

from earthreason.masks import kernel


@pytest.fixture(scope="module", params=kernel.BACKENDS, autouse=True)
def kernel_backend(request):
    if find_spec(f"earthreason.masks.{kernel.BACKENDS[request.param]}") is None:
        pytest.skip("the C extension was not built: pip install -e . with a compiler")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(kernel.VARIABLE, request.param)
        yield request.param
