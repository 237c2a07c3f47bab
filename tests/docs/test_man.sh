#!/usr/bin/env bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# test_man.sh BUILD_DIR - the manual pages of this build: no complaint from mandoc or man, and nothing of
# --help is missing.
set -uo pipefail
BIN=$1/bin MAN=$1/man
failures=0
for tool in mandoc man; do
    command -v "$tool" >/dev/null || { echo "skipped: no $tool"; exit 77; }
done
fail() {
    echo "BROKEN: $*"
    failures=$((failures + 1))
}

for page in localrag.1 localrag-server.8 localrag-worker.8; do
    complaints=$(mandoc -Tlint -W warning "$MAN/$page" 2>&1) || fail "$page: $complaints"
    complaints=$(LC_ALL=C.UTF-8 MANWIDTH=80 man --warnings -l "$MAN/$page" 2>&1 >/dev/null)
    [ -z "$complaints" ] || fail "$page: $complaints"
done

# Words of the help, in order: the page must have each.
words() { sed -n 's/^  \([^ ]*[A-Za-z][^ ]*\) .*/\1/p' | sort -u; }
for program in localrag localrag-server localrag-worker; do
    page=$(echo "$MAN/$program".[18])
    text=$(mandoc -Tascii "$page" | sed 's/.\x08//g')
    seen=0
    while IFS= read -r word; do
        seen=$((seen + 1))
        grep -qF -- "${word%,}" <<<"$text" || fail "$page does not mention \"$word\""
    done < <("$BIN/$program" --help | words)
    [ "$seen" -ge 10 ] || fail "the help of $program has only $seen words: it was not read right"
done
[ "$failures" -eq 0 ] && echo "3 pages, nothing to complain about"
exit $((failures > 0))
