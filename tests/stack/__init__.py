"""
The private PostgreSQL, Redis, NetBox web server and RQ worker under `make demo` and `make test`.

Everything lives in `.stack/` of the checkout. Nothing here touches a database, a service or a file of the system.
"""
