"""Calls that use a key once, or up to 256 times in one request with `items`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from sqlalchemy import Connection

from signerd.api.call import Call
from signerd.api.error_response import describe_error
from signerd.api.errors import ApiError, BodyTooLarge, InvalidBody
from signerd.api.kms_backend import OpenKms, Place, find_key, find_place
from signerd.api.reply import JsonValue, Reply
from signerd.api.route import DEFAULT_BODY_OCTETS
from signerd.api.wire import WireModel
from signerd_kms.errors import InvalidRequest, KmsError
from signerd_kms.key import Key
from signerd_kms.key_use import MAX_ITEMS, Use

ItemT = TypeVar("ItemT", bound=WireModel)
RequestT = TypeVar("RequestT", bound=WireModel)
T = TypeVar("T")
Json = dict[str, JsonValue]
SUCCESS: Final = 200


class ItemErrorBody(WireModel):
    """Why one item of a batch was refused, with the status that the call alone would have had."""

    status: int
    message: str
    code: str


@dataclass(frozen=True, slots=True)
class KeyCall(Generic[RequestT, ItemT, T]):
    """A kind of use of a key.

    Attributes:
        open_kms: Gives the KMS.
        verbs: What must be allowed on the key.
        model: Of the whole request.
        split: Gives the items of a batch, or None and the single item.
        build: Makes the use of an item; raises ApiError or KmsError for what breaks a rule of form.
        render: Gives the answer of one.
    """

    open_kms: OpenKms
    verbs: tuple[str, ...]
    model: type[RequestT]
    split: Callable[[RequestT], tuple[Sequence[ItemT] | None, ItemT | None]]
    build: Callable[[ItemT], Use[T]]
    render: Callable[[T], Json]

    def handle(self, call: Call) -> Reply:
        """Answer."""
        place = find_place(self.open_kms, call)
        key = find_key(place, call, *self.verbs)
        items, single = self.split(call.read(self.model))
        if items is None:
            if len(call.body) > DEFAULT_BODY_OCTETS:
                raise BodyTooLarge(f"without items, the body has at most {DEFAULT_BODY_OCTETS} octets")
            if single is None:
                raise InvalidBody("the body has neither what to work on nor items")
            use = self.build(single)

            def keep(connection: Connection, made: T) -> T:
                call.record(connection, SUCCESS)
                return made

            made = place.kms.use_and_store(place.scope, key, use, keep, by=call.attribution)
            return Reply(SUCCESS, self.render(made), is_recorded=True)
        if single is not None:
            raise InvalidBody("items: must stand alone")
        if not 1 <= len(items) <= MAX_ITEMS:
            raise InvalidRequest(f"a batch has 1 to {MAX_ITEMS} items, not {len(items)}")
        call.charge(len(items) - 1)
        built = [self._build(item) for item in items]
        uses = [use for use in built if isinstance(use, Use)]
        outcomes = iter(self._use_all(place, key, uses, call) if uses else ())
        results: list[JsonValue] = []
        for item in built:
            outcome = next(outcomes) if isinstance(item, Use) else item
            if isinstance(outcome, ApiError | KmsError):
                described = describe_error(outcome)
                refusal: Json = {
                    "status": described.status,
                    "message": described.message,
                    "code": described.code,
                }
                results.append({"error": refusal})
            else:
                results.append(self.render(outcome))
        return Reply(SUCCESS, {"items": results}, is_recorded=bool(uses))

    def _use_all(self, place: Place, key: Key, uses: Sequence[Use[T]], call: Call) -> list[T | KmsError]:
        def keep(connection: Connection) -> None:
            call.record(connection, SUCCESS)  # whatever became of single items

        return place.kms.use_all(place.scope, key, uses, by=call.attribution, store=keep)

    def _build(self, item: ItemT) -> Use[T] | ApiError | KmsError:
        try:
            return self.build(item)
        except (ApiError, KmsError) as error:
            return error
