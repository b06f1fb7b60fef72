"""Bodies of requests and responses: names in camel case on the wire, in snake case here."""

from typing import cast

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from signerd.api.reply import JsonValue


class WireModel(BaseModel):
    """Base of all bodies. Unknown members of requests are ignored (`Call.read`)."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)

    def render(self) -> dict[str, JsonValue]:
        """Give the JSON form, without the members that are None."""
        return cast("dict[str, JsonValue]", self.model_dump(mode="json", by_alias=True, exclude_none=True))
