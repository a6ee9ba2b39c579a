"""Let FiftyOne keep its data in memory where no MongoDB can be had: mongomock in place of its server.

Import this before `fiftyone`. FIFTYONE_DATABASE_URI names a real server, and is used then.
"""

import os

if not os.environ.get("FIFTYONE_DATABASE_URI"):
    os.environ["FIFTYONE_DATABASE_URI"] = "mongodb://localhost:1"  # nothing listens there

    import mongoengine
    import mongomock
    import motor.motor_asyncio  # noqa: F401 - it looks into the real client, so before that is replaced
    import pymongo
    from mongomock.store import ServerStore

    _STORE, _connect = ServerStore(), mongoengine.connect

    class Client(mongomock.MongoClient):
        """A client of one store in memory, which says that it is MongoDB 7."""

        _closed = False

        def __init__(self, *arguments, **options):
            options.pop("appname", None)
            super().__init__(*arguments, _store=_STORE, **options)

        def server_info(self, *_, **__):
            return {"version": "7.0.0", "versionArray": [7, 0, 0, 0]}

    pymongo.MongoClient = Client
    mongoengine.connect = lambda name, **_: _connect(
        name, mongo_client_class=Client, host=os.environ["FIFTYONE_DATABASE_URI"]
    )
