"""Ray warns of itself while it is imported; from then on warnings are errors, as in all tests."""

import warnings

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("ray.data", reason="the extra `ray` is not installed")
    pytest.importorskip("ray.serve", reason="the extra `ray` is not installed")
