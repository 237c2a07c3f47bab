#!/usr/bin/env bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# test_documents.sh BUILD_DIR - one document of each kind, from upload to result, over REST.
# shellcheck source=tests/support/stack.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/stack.sh"
stack_start "$1"

upload "$DATA/text.pdf"
check "upload answers 202" same 202 "$REST_STATUS"
check "upload answers queued" same queued "$(field status)"
check "upload names a job" [ -n "$JOB" ]
job_wait "$JOB"
check "text.pdf completes" same completed "$(field status)"
check "a completed job has progress 100" same 100 "$(field progress | cut -d. -f1)"
rest "/api/v1/jobs/$JOB/result"
check "result answers 200" same 200 "$REST_STATUS"
check "three pages" same 3 "$(field page_count)"
check "three text pages" same 3 "$(field text)"
document=$(field document_id)
rest "/api/v1/documents/$document/chunks"
check "chunks carry the text" has "$REST_BODY" "three hundred and seven"
rest "/api/v1/documents/$document/pages?text=true"
check "pages carry the text" has "$REST_BODY" "as bright as I am"

upload "$DATA/text.pdf"
job_wait "$JOB"
rest "/api/v1/jobs/$JOB/result"
check "the same bytes again are a duplicate" same "$document" "$(field duplicate_of)"

upload "$DATA/mixed.pdf"
job_wait "$JOB"
check "mixed.pdf completes" same completed "$(field status)"
rest "/api/v1/jobs/$JOB/result"
check "one page by OCR" same 1 "$(field ocr)"
check "two pages of text" same 2 "$(field text)"
rest "/api/v1/documents/$(field document_id)/chunks"
check "the scan was read" has "$REST_BODY" "lamp oil"

for name in page.png page.jpg pages.tiff scan.pdf; do
    upload "$DATA/$name"
    job_wait "$JOB"
    check "$name completes" same completed "$(field status)"
    rest "/api/v1/jobs/$JOB/result"
    rest "/api/v1/documents/$(field document_id)/chunks"
    check "$name was read" has "$REST_BODY" "lamp oil"
done

for name in utf8.txt latin1.txt; do
    upload "$DATA/$name"
    job_wait "$JOB"
    rest "/api/v1/jobs/$JOB/result"
    rest "/api/v1/documents/$(field document_id)/chunks"
    check "$name was read" has "$REST_BODY" "Grüße aus dem Leuchtturm"
done

upload "$DATA/encrypted.pdf"
job_wait "$JOB"
check "encrypted.pdf without a password fails" same failed "$(field status)"
check "and says why" same PASSWORD_REQUIRED "$(field error_code)"
check "without another attempt" same 0 "$(field retry_count)"
upload "$DATA/encrypted.pdf" -F password=marmalade
job_wait "$JOB"
check "encrypted.pdf with its password completes" same completed "$(field status)"
check "the password is not in the log" same 0 "$(grep -c marmalade "$STACK_TMP/log")"

stack_done
