#!/bin/sh
# SPDX-License-Identifier: AGPL-3.0-or-later
# arrows.sh [ROOT] - does every #include follow the arrows of the house? Prints what does not, exits 1.
#
#   base <- generated proto <- store <- jobs <- {server, workers};  client -> base + generated proto
#
# server, workers and client never include one another, localrag-extract knows base and its own proto
# only, and each foreign library is included where the table below says and nowhere else. Runs as a
# test and in ./dev lint. It reads includes; that a library is not linked is CMake's to hold.
set -eu
cd "${1:-$(dirname "$0")/..}"

find base store jobs server workers client tests -name '*.[ch]' | sort | while IFS= read -r file; do
    sed -n "s|^[[:space:]]*#[[:space:]]*include[[:space:]]*[<\"]\([^>\"]*\)[>\"].*|$file \1|p" "$file"
done | awk '
    # What a folder may include of ours; tests may include everything.
    BEGIN {
        may["base"]            = "^(base/|google/protobuf/)"
        may["store"]           = "^(base/|store/|sql/|localrag/v1/|google/)"
        may["jobs"]            = "^(base/|store/|jobs/|sql/|localrag/v1/|google/)"
        may["server"]          = "^(base/|store/|jobs/|server/|sql/|localrag/v1/|google/)"
        may["workers"]         = "^(base/|store/|jobs/|workers/[^/]*$|workers/embed/|sql/|localrag/v1/|extract/v1/|google/)"
        may["workers/extract"] = "^(base/|workers/extract/|extract/v1/|google/protobuf/)"
        may["client"]          = "^(base/|client/|localrag/v1/|google/)"
        ours = "^(base|store|jobs|server|workers|client|sql|localrag|extract|google|tests)/"

        # Foreign headers and the files that are their door.
        n = 0
        door(n++, "^libpq-fe\\.h$|^libpq/|^pg_config", "^store/db[^/]*\\.[ch]$")
        door(n++, "^hiredis/",                      "^store/kv[^/]*\\.[ch]$")
        door(n++, "^grpc/",                         "^(server/rpc[^/]*|client/conn[^/]*)\\.[ch]$")
        door(n++, "^microhttpd\\.h$",               "^server/(rest[^/]*|admin)\\.[ch]$")
        door(n++, "^mupdf/",                        "^workers/extract/doc_pdf[^/]*\\.[ch]$")
        door(n++, "^(tesseract|leptonica)/|^allheaders\\.h$", "^workers/extract/(doc_ocr|doc_image|ocr_)[^/]*\\.[ch]$")
        door(n++, "^jansson\\.h$",                  "^base/pbjson[^/]*\\.[ch]$")
        door(n++, "^curl/",                         "^(workers/embed/http|store/blob_s3)\\.[ch]$")
        door(n++, "^seccomp\\.h$|^linux/(seccomp|landlock)\\.h$", "^workers/extract/[^/]*\\.[ch]$")
    }
    function door(i, header, files) { headers[i] = header; doors[i] = files }

    {
        # A path with spaces does not occur below the root.
        file = $1; header = $2
        folder = file; sub(/\/.*/, "", folder)
        if (file ~ /^workers\/extract\//) folder = "workers/extract"
        if (folder != "tests" && header ~ ours && header !~ may[folder]) {
            printf "%s: includes \"%s\", against the arrows\n", file, header
            bad = 1
        }
        if (folder != "tests")
            for (i = 0; i < n; i++)
                if (header ~ headers[i] && file !~ doors[i]) {
                    printf "%s: includes <%s>, whose only door is %s\n", file, header, doors[i]
                    bad = 1
                }
    }
    END { exit bad }'
