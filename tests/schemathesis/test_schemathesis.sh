#!/usr/bin/env bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# test_schemathesis.sh BUILD_DIR - requests that schemathesis makes up from /openapi.json, good and bad ones:
# every answer has to be what the document says.
#
# All its checks are on; schemathesis.toml and hooks.py tell it what a schema cannot say. In a plain run of
# the tests it makes a thousand requests with a fixed seed. A long one with another seed at each run:
#
#   SCHEMATHESIS_EXAMPLES=250 ./dev test -k schemathesis release      more than 5,000 requests
#
# The program is fetched once into .dev/tools/ of the checkout, in the versions of requirements.txt.
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=tests/support/stack.sh
. "$HERE/../support/stack.sh"
VENV=$ROOT/.dev/tools/schemathesis

# make_venv - once for each requirements.txt; what was made for another one is replaced.
make_venv() {
    mkdir -p "$ROOT/.dev/tools"
    (
        flock 8
        cmp -s "$HERE/requirements.txt" "$VENV/made-of" && exit 0
        rm -rf "$VENV"
        /usr/bin/python3 -m venv "$VENV" &&
            "$VENV/bin/pip" install -q --disable-pip-version-check -r "$HERE/requirements.txt" &&
            cp "$HERE/requirements.txt" "$VENV/made-of"
    ) 8>"$ROOT/.dev/tools/schemathesis.lock"
}
/usr/bin/python3 -c 'import venv, ensurepip' 2>/dev/null || { echo "skipped: no python3-venv"; exit 77; }
make_venv || { echo "could not install schemathesis"; exit 1; }

stack_start "$1" TASK_MAX_WORKERS=2 TASK_HIGH_PRIORITY_WORKERS=1
mkdir -p "$STACK_TMP/data/in"
cp "$DATA/utf8.txt" "$STACK_TMP/data/in"
# Something to read before it makes its own.
upload "$DATA/text.pdf"
job_wait "$JOB"

if [ -n "${SCHEMATHESIS_EXAMPLES-}" ]; then
    options=(--max-examples "$SCHEMATHESIS_EXAMPLES") want=5000
else
    options=(--max-examples 4 --seed 1 --phases "examples,coverage,fuzzing") want=700
fi
status=0
OUT=$(cd "$STACK_TMP" && SCHEMATHESIS_HOOKS=$HERE/hooks.py PYTHONDONTWRITEBYTECODE=1 \
    "$VENV/bin/schemathesis" --config-file "$HERE/schemathesis.toml" run --no-color --workers 3 \
    "${options[@]}" "http://127.0.0.1:$PORT/openapi.json" 2>&1) || status=$?
echo "$OUT"
check "schemathesis has nothing to say" same 0 "$status"
cases=$(sed -n 's/^ *\([0-9]*\) generated.*/\1/p' <<<"$OUT")
check "after at least $want requests" test "${cases:-0}" -ge "$want"
check "to every operation" has "$OUT" "Tested: $(grep -c 'option (google.api.http)' "$ROOT"/proto/localrag/v1/*.proto |
    awk -F: '{ n += $2 } END { print n }')"
stack_done
