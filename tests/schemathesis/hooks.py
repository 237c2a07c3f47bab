# SPDX-License-Identifier: AGPL-3.0-or-later
"""Two rules of the API that a JSON schema has no words for, told to schemathesis (schemathesis.toml).

A directory to ingest has to exist, and of two numbers one has to be the smaller. Where a body fits its
schema these values are put right before the request is made, so that the check "what fits the schema is
accepted" holds for all the rest of the body. A value that the schema refuses is sent as it is. That the
server refuses what breaks the two rules is held by tests/e2e/test_bad_input.sh.
"""
import schemathesis


def is_whole(value):
    """An integer to JSON Schema, which 5.0 is too."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value == int(value)


@schemathesis.hook
def before_call(context, case, kwargs):
    del context, kwargs
    operation = case.operation.definition.raw.get("operationId")
    if not isinstance(case.body, dict):
        return
    if operation == "IngestDirectory":
        path = case.body.get("directory_path")
        if isinstance(path, str) and path and "\0" not in path:
            case.body = {**case.body, "directory_path": "in"}
    elif operation == "StartWorkers":
        most, high = case.body.get("max_workers"), case.body.get("high_priority_workers")
        if is_whole(most) and is_whole(high) and 1 <= most <= high <= 255:
            case.body = {**case.body, "max_workers": high + 1}
