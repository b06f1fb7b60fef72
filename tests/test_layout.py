import secrets
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_secrets_is_the_standard_library_module() -> None:
    assert Path(secrets.__file__).parent == Path(sysconfig.get_path("stdlib"))


def test_source_roots_are_no_packages() -> None:
    for folder in ("signerd", "kms", "secrets"):
        assert not (ROOT / folder / "__init__.py").exists()
    assert list((ROOT / "tests").rglob("__init__.py")) == []
