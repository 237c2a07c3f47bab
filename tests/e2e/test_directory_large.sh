#!/usr/bin/env bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# test_directory_large.sh BUILD_DIR - two thousand small files: the call answers at once, every file becomes
# one document, and a file costs the same at the end as at the beginning.
# shellcheck source=tests/support/stack.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/stack.sh"
stack_start "$1"

FILES=2000
mkdir "$STACK_TMP/data/in"
for i in $(seq $FILES); do
    printf 'File %d tells about lighthouse number %d.\n' "$i" "$i" >"$STACK_TMP/data/in/$i.txt"
done
now_ms() { date +%s%3N; }
start=$(now_ms)
rest -H 'Content-Type: application/json' -d "{\"directory_path\": \"in\"}" /api/v1/documents/ingest-directory
answered=$(now_ms)
JOB=$(field job_id)
check "all files are found" same $FILES "$(field total_files_found)"
job_wait "$JOB" 280
echo "answered after $((answered - start)) ms, $FILES files after $(($(now_ms) - start)) ms"
check "the answer came within a second" [ $((answered - start)) -lt 1000 ]
check "the batch completes" same completed "$(field status)"
rest "/api/v1/jobs/$JOB/result"
check "every file was read" same $FILES "$(field successful)"
rest "/api/v1/documents?limit=1"
check "as many documents" same $FILES "$(field total)"
psql -qAt "$(stack_database)" -c "
    SELECT 'files of the ' || n || '. quarter took ' || round(extract(epoch FROM max(completed_at) - min(started_at))::numeric, 1) || ' s'
    FROM (SELECT ntile(4) OVER (ORDER BY completed_at) AS n, started_at, completed_at FROM processing_jobs
          WHERE parent_job_id = '$JOB') AS q GROUP BY n ORDER BY n"
check "no batch was left behind on the way" same 0 "$(grep -c 'left behind' "$STACK_TMP/log")"

stack_done
