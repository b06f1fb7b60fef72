import pkgutil
from collections.abc import Iterator
from importlib import import_module

import signerd.api
import signerd.platform
import signerd_kms
from signerd.api.errors import COMPONENT_ERRORS, STATUS_OF_ERROR


def walk_subclasses(error: type[Exception]) -> Iterator[type[Exception]]:
    yield error
    for subclass in error.__subclasses__():
        yield from walk_subclasses(subclass)


def test_every_error_of_every_component_stands_in_the_table() -> None:
    for package in (signerd.api, signerd.platform, signerd_kms):
        for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
            import_module(module.name)
    errors = {error for root in COMPONENT_ERRORS for error in walk_subclasses(root)}
    assert {error for error in errors if error not in STATUS_OF_ERROR} == set()


def test_every_error_has_its_own_code() -> None:
    codes = [getattr(error, "code", None) for error in STATUS_OF_ERROR]
    assert None not in codes
    assert len(set(codes)) == len(codes)
