"""Schemathesis hooks: most requests are about a bridge and a port that exist, and no stream is without end.

Loaded by src/launch/fuzz-api.mjs. Removing the bridge or the port is left to names made up at random (and to the
documents of /v1/config), so that the other requests find something.
"""

import schemathesis

NAMES = {"name": "fuzz0", "port": "tap0", "interface": "tap0"}


@schemathesis.hook
def before_call(context, case, kwargs):
    path, method = case.operation.path, case.operation.method.upper()
    if path == "/v1/events":
        case.query = {**(case.query or {}), "follow": "false"}
    parameters = case.path_parameters or {}
    removes_it = method == "DELETE" and path in ("/v1/bridges/{name}", "/v1/bridges/{name}/ports/{port}")
    # One in four keeps the name that was made up, whatever it is.
    if parameters and not removes_it and hash(str(parameters) + str(case.query)) % 4:
        case.path_parameters = {**parameters, **{key: name for key, name in NAMES.items() if key in parameters}}
