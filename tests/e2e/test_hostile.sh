#!/usr/bin/env bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# test_hostile.sh BUILD_DIR - documents and names that mean harm: every one of them ends with a typed
# answer, what can be read of it is read, and nobody else notices.
# shellcheck source=tests/support/stack.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/stack.sh"
stack_start "$1" PAGE_TIMEOUT=2 EXTRACT_MEMORY=200MB TASK_MAX_WORKERS=4 TASK_HIGH_PRIORITY_WORKERS=1

worker=$(child_of "$STACK_PID" localrag-worker)
zygote_up() { zygote=$(child_of "$worker" localrag-extract) && [ -n "$zygote" ]; }
check "there is a worker with a zygote" wait_until 20 zygote_up
# With the address sanitizer memory has no limit; such a page then takes too long.
grep -q __asan_init "$STACK_BIN/localrag-extract" && too_much="took longer than 2 s" || too_much="EXTRACT_MEMORY"

# All at once: a good document between them completes while they are at it.
declare -A job
send() {
    upload "$DATA/$1"
    check "$1 is accepted" same 202 "$REST_STATUS"
    job[$1]=$JOB
}
for name in spaces.pdf memory.pdf forms.pdf pixels.pdf; do send "hostile_$name"; done
send text.pdf
for name in size.pdf count.pdf cycle.pdf; do send "hostile_$name"; done
send hostile.png
send random.pdf
send mixed.pdf

# ends NAME STATUS - and leaves the job (failed) or its result (completed) in REST_BODY.
ends() {
    job_wait "${job[$1]}"
    check "$1 ends as $2" same "$2" "$(field status)"
    check "$1 had one attempt" same 0 "$(field retry_count)"
    [ "$2" = failed ] || rest "/api/v1/jobs/${job[$1]}/result"
}
only_page_two_failed() {
    check "$1 has three pages" same 3 "$(field page_count)"
    check "$1: one page is listed as failed" same 1 "$(grep -o '"reason"' <<<"$REST_BODY" | wc -l)"
    check "$1: it is page 2" same 2 "$(field page)"
    check "$1: and it says why" has "$(field reason)" "$2"
    check "$1: the other pages are text" same 2 "$(field text)"
    rest "/api/v1/documents/$(field document_id)/pages?text=true"
    check "$1: the page before it was read" has "$REST_BODY" "one hundred and twelve steps"
    check "$1: the page behind it was read" has "$REST_BODY" "as bright as I am"
}

ends text.pdf completed
ends mixed.pdf completed
ends hostile_spaces.pdf completed
only_page_two_failed hostile_spaces.pdf "took longer than 2 s"
ends hostile_forms.pdf completed
only_page_two_failed hostile_forms.pdf "took longer than 2 s"
ends hostile_memory.pdf completed
only_page_two_failed hostile_memory.pdf "$too_much"
ends hostile_pixels.pdf completed
only_page_two_failed hostile_pixels.pdf ""
ends hostile_size.pdf completed
check "a page as large as a country is a page" same 3 "$(field page_count)"
ends hostile_count.pdf completed
check "two thousand million pages are one" same 1 "$(field page_count)"
ends hostile_cycle.pdf completed
rest "/api/v1/documents/$(field document_id)/pages?text=true"
check "a tree that contains itself is read as far as it is one" has "$REST_BODY" "one hundred and twelve steps"
for name in hostile.png random.pdf; do
    ends "$name" failed
    check "$name is unreadable" same UNREADABLE "$(field error_code)"
done

# name_shown FILE NAME - an upload whose form says that name, byte for byte.
name_shown() {
    {
        printf -- '--edge\r\nContent-Disposition: form-data; name="file"; filename="%b"\r\n\r\n' "$2"
        cat "$DATA/$1"
        printf '\r\n--edge--\r\n'
    } >"$STACK_TMP/form"
    rest -H "Content-Type: multipart/form-data; boundary=edge" --data-binary "@$STACK_TMP/form" \
        /api/v1/documents/upload
    JOB=$(field job_id)
    check "the name \"${2:0:40}\" is accepted" same 202 "$REST_STATUS"
    is_safe "$(field document_name)" "$(field file_path)"
}
is_safe() {
    check "\"${1:0:40}\" has a length" [ "${#1}" -gt 0 ]
    check "\"${1:0:40}\" is not long" [ "$(LC_ALL=C.UTF-8 printf %s "$1" | wc -c)" -le 255 ]
    check "\"${1:0:40}\" is UTF-8" iconv -f UTF-8 -t UTF-8 -o /dev/null <<<"$1"
    check "\"${1:0:40}\" has no slash and no dots of a path" same "${1//[\/\\]/}" "${1#..}"
    check "\"${1:0:40}\" is one line" same 1 "$(printf '%b\n' "$1" | wc -l)"
    check "the file is in its job's folder" has "$2" "data/uploads/$JOB/"
    check "and nowhere else" same "" "$(find "$STACK_TMP" -path "$STACK_TMP/data/uploads/*-*-*/*" -prune -o -name passwd -print)"
}
name_shown utf8.txt '../../etc/passwd'
check "of a path the last part is shown" same passwd "$(field document_name)"
name_shown utf8.txt '..'
name_shown utf8.txt '..\\\\..\\\\boot.ini'
name_shown utf8.txt 'a\xff\xfeb.txt'
name_shown utf8.txt 'two%0Alines.txt'
name_shown utf8.txt "$(printf 'x%.0s' {1..5000}).txt"
check "a long name keeps its extension" has "$(field document_name)" .txt
cp "$DATA/utf8.txt" "$STACK_TMP/"$'two\nlines \xff.txt'
out=$(localrag --json upload "$STACK_TMP/"$'two\nlines \xff.txt')
check "the CLI sends a name of two lines" same 0 $?
rest "/api/v1/jobs?limit=1"
JOB=$(field job_id)
is_safe "$(field document_name)" "data/uploads/$JOB/"
check "and does not print them as two" has "$out" "completed"

# Nobody is harmed and nothing is left.
idle() { [ -z "$(child_of "$zygote" localrag-extract)" ]; }
check "no reader is left" wait_until 10 idle
check "the same worker" same "$worker" "$(child_of "$STACK_PID" localrag-worker)"
check "the same zygote" same "$zygote" "$(child_of "$worker" localrag-extract)"
check "no temp file is left" same "" "$(find "$STACK_TMP/data/uploads/.incoming" -type f)"
check "no job crashed its worker" same 0 \
    "$(psql -qAt "$(stack_database)" -c "SELECT count(*) FROM processing_jobs WHERE crash_count > 0")"
upload "$DATA/scan.pdf"
job_wait "$JOB"
check "the next document is read" same completed "$(field status)"

stack_done
