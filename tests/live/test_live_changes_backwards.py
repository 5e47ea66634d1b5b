"""A feed that goes back."""

from aiocouch import Database


async def test_continuous_feed_goes_back_once(db: Database) -> None:
    for id in "abc":
        await (await db.create(id)).save()
    feed = db.changes(feed="continuous", descending=True, timeout=200)
    assert sorted([event.id async for event in feed]) == ["a", "b", "c"]
