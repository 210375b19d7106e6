"""A real S3 server for tests: moto on a free port of 127.0.0.1, with the buckets named as arguments.

Prints its endpoint as the first line, then serves until its standard input closes (that is, until
the test that started it ends, however it ends). Use it with AWS_ENDPOINT_URL=<endpoint>,
AWS_ALLOW_HTTP=true, AWS_REGION=us-east-1, AWS_ACCESS_KEY_ID=test, AWS_SECRET_ACCESS_KEY=test.
"""

import logging
import sys
import urllib.request

from moto.server import ThreadedMotoServer

logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
endpoint = f"http://{host}:{port}"
for bucket in sys.argv[1:]:
    urllib.request.urlopen(urllib.request.Request(f"{endpoint}/{bucket}", data=b"", method="PUT"))
print(endpoint, flush=True)
sys.stdin.read()
server.stop()
