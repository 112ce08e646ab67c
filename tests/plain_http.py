"""What clients of tests give as `verify`: nothing here speaks TLS.

Else httpx reads every certificate authority for each client: 30 ms of processor time.
"""

import ssl

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""A context without authorities, shared by all; it would trust nobody."""
