# shellcheck shell=bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# lint.sh - the checks of ./dev lint, one function each; every one runs, even after a failure.
#
# A check prints only what is wrong. clang-tidy needs generated headers and the compile commands, so
# the release build comes first.

LINT_CHECKS=(format notes arrows shell proto sql errors tidy)

cmd_lint() {
    local checks=("$@") check output status=0 start
    [ $# -gt 0 ] || checks=("${LINT_CHECKS[@]}")
    need_packages build dev
    for check in "${checks[@]}"; do
        declare -F "lint_$check" >/dev/null || usage_error "no check \"$check\"; there are: ${LINT_CHECKS[*]}"
        if [ "$check" = tidy ]; then
            lock
            build release
            unlock
        fi
        start=$SECONDS
        if output=$(cd "$ROOT" && "lint_$check" 2>&1); then
            say "lint $check: ok ($((SECONDS - start)) s)"
        else
            say "lint $check: FAILED"
            printf '%s\n' "$output"
            status=1
        fi
    done
    return $status
}

# our_c - our C files, NUL after each.
our_c() {
    find base store jobs server workers client tests bench cmake -name '*.[ch]' -print0 2>/dev/null | sort -z
}

lint_format() { our_c | xargs -0 clang-format --dry-run -Werror; }

# Licence line first, a head note in every .c, no file that nobody can take in at once.
lint_notes() {
    local file lines status=0
    while IFS= read -r -d '' file; do
        lines=$(wc -l <"$file")
        if [ "$(head -n 1 "$file")" != '/* SPDX-License-Identifier: AGPL-3.0-or-later */' ]; then
            echo "$file: the first line is not the licence line"
            status=1
        fi
        if [[ $(sed -n 2p "$file") != "/* $(basename "$file") - "* ]]; then
            echo "$file: the second line does not begin the head note (/* $(basename "$file") - what it is for)"
            status=1
        fi
        if [ "$lines" -gt 500 ]; then
            echo "$file: $lines lines, the cap is 500"
            status=1
        fi
    done < <(our_c)
    return $status
}

lint_arrows() { sh cmake/arrows.sh; }

lint_shell() {
    local scripts
    mapfile -d '' scripts < <(
        printf '%s\0' dev .ci/run
        find dev.d cmake tests bench -name '*.sh' -print0)
    shellcheck -x "${scripts[@]}"
}

# protoc compiles each file alone; field names are snake_case; every service says what it is for.
lint_proto() {
    local file status=0
    while IFS= read -r -d '' file; do
        protoc -I proto -I /usr/include --descriptor_set_out=/dev/null "${file#proto/}" || status=1
        awk '
            { line = $0; sub(/\/\/.*/, "", line) }
            line ~ /^ *(optional |repeated )?(map<[^>]*>|[A-Za-z_.0-9]+) +[A-Za-z_0-9]+ *= *[0-9]+/ && line !~ /^ *(option|syntax)/ {
                name = line; sub(/ *=.*/, "", name); sub(/.* /, "", name)
                if (name !~ /^[a-z][a-z0-9_]*$/ && name !~ /^[A-Z][A-Z0-9_]*$/) {
                    printf "%s:%d: field \"%s\" is not snake_case\n", FILENAME, FNR, name; bad = 1
                }
            }
            line ~ /^service / && before !~ /\/\// {
                printf "%s:%d: a service without a comment\n", FILENAME, FNR; bad = 1
            }
            { before = $0 }
            END { exit bad }' "$file" || status=1
    done < <(find proto/localrag proto/extract -name '*.proto' -print0)
    return $status
}

# Every SQL file begins by saying what it is for; numbers of migrations have no gaps and no twins.
lint_sql() {
    local file number expected=1 status=0
    for file in sql/queries/*.sql sql/migrations/*.sql; do
        [[ $(head -n 1 "$file") == '-- '* ]] || { echo "$file: does not begin with a -- line that says what for"; status=1; }
    done
    for file in sql/migrations/*.sql; do
        number=$(basename "$file" | sed 's/_.*//; s/^0*//')
        [ "$number" = "$expected" ] || { echo "$file: expected number $expected"; status=1; }
        expected=$((expected + 1))
    done
    return $status
}

# docs/errors.md has one row for each code of base/code.h, with the same numbers.
lint_errors() {
    diff <(bash cmake/errors.sh) <(sed -n '/^| code /,/^$/p' docs/errors.md | sed '/^$/d') ||
        { echo "docs/errors.md differs from base/code.h (< is right): bash cmake/errors.sh prints the table"; return 1; }
}

# The analyzer looks at one function at a time (ipa=none): what fails in a callee is then TRY's business,
# as in the code, and not a path that goes on with nothing in its outputs.
lint_tidy() {
    local database=build/release sources extra=() word
    mapfile -t sources < <(sed -n 's/^ *"file": "\(.*\)",\{0,1\}$/\1/p' "$database/compile_commands.json" |
        grep -v "^$ROOT/build/" | sort -u)
    for word in -Wno-unknown-warning-option "-I$ROOT" "-include$ROOT/cmake/analyzer.h" \
        -Xclang -analyzer-config -Xclang ipa=none; do
        extra+=("--extra-arg=$word")
    done
    printf '%s\0' "${sources[@]}" |
        xargs -0 -n 2 -P "$(nproc)" clang-tidy -p "$database" --quiet "${extra[@]}" 2>/dev/null
}
