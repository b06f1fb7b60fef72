from signerd.responder.answer_cache import ENTRY_OCTETS, AnswerCache


def fill(cache: AnswerCache[int, int], first: int, count: int) -> None:
    for number in range(first, first + count):
        if cache.get(number) is None:
            cache.put(number, number, 0)


def test_everything_is_kept_while_there_is_room() -> None:
    cache = AnswerCache[int, int](100 * ENTRY_OCTETS)
    fill(cache, 0, 50)
    assert [cache.get(number) for number in range(50)] == list(range(50))


def test_flood_of_new_keys_leaves_what_is_in_use() -> None:
    cache = AnswerCache[int, int](100 * ENTRY_OCTETS)
    fill(cache, 0, 60)
    for start in range(1000, 1600, 150):  # more than the cache holds each time
        for used in range(20):
            assert cache.get(used) == used
        fill(cache, start, 150)
    assert len(cache) <= 101


def test_what_is_asked_for_often_gets_into_a_full_cache() -> None:
    cache = AnswerCache[int, int](100 * ENTRY_OCTETS)
    fill(cache, 0, 500)
    for _ in range(20):
        fill(cache, 9999, 1)
    assert cache.get(9999) == 9999
