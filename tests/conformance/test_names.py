"""Names are compared exactly, in Unicode's normal form C (security checklist, authorisation)."""

import pytest

from kms_api import ROOT
from platform_api import Api

COMPOSED, DECOMPOSED = "Caf\u00e9 1", "Cafe\u0301 1"


@pytest.mark.parametrize("path", [ROOT, "/v1/iam/roles", "/v1/projects", "/v1/teams", "/v1/service-accounts"])
async def test_a_name_typed_in_another_form_is_the_same_name(admin: Api, path: str) -> None:
    made = await admin.create(path, {"name": DECOMPOSED})
    assert made["name"] == COMPOSED
    assert made["slug"] == "caf-1"
    await admin.refused(409, "POST", path, {"name": COMPOSED})
    await admin.refused(409, "POST", path, {"name": DECOMPOSED})


@pytest.mark.parametrize("path", [ROOT, "/v1/iam/roles"])
@pytest.mark.parametrize("name", [COMPOSED, DECOMPOSED])
async def test_lists_are_filtered_by_the_name_in_any_form(admin: Api, path: str, name: str) -> None:
    made = await admin.create(path, {"name": COMPOSED})
    found = await admin.list(f"{path}?name={name}")
    assert [item["identity"] for item in found] == [made["identity"]]


async def test_case_and_likeness_make_different_names(admin: Api) -> None:
    made = await admin.create(ROOT, {"name": "Key \u00e9"})
    for other in ("Key \u00c9", "Key \u0435", "Key \uff45", "key \u00e9"):  # upper case, Cyrillic, full width
        assert made["identity"] not in [item["identity"] for item in await admin.list(f"{ROOT}?name={other}")]
