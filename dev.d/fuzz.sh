# shellcheck shell=bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# fuzz.sh - searches for inputs that break a parser, with libFuzzer and the targets of tests/fuzz.
#
# .dev/fuzz/TARGET/ keeps what a search leaves: corpus/ (inputs that reached something new; the next
# search starts from them and from the hand-made ones), findings/, and the log of the last search.

FUZZ_SECONDS=60

fuzz_targets() { (cd "$ROOT/tests/fuzz" && printf '%s\n' fuzz_*.c | sed 's/^fuzz_//; s/\.c$//'); }

# cmd_fuzz TARGET [SECONDS] - "all" takes every target in turn. 1: something was found.
cmd_fuzz() {
    local target=${1-} seconds=${2-$FUZZ_SECONDS} all status=0
    mapfile -t all < <(fuzz_targets)
    if [ $# -lt 1 ] || [ $# -gt 2 ]; then
        usage_error "fuzz takes a target and seconds; targets: all ${all[*]}"
    fi
    [[ " all ${all[*]} " == *" $target "* ]] || die "no target \"$target\"; there are: all ${all[*]}"
    [[ $seconds =~ ^[1-9][0-9]{0,5}$ ]] || usage_error "\"$seconds\" is not a number of seconds"
    need_packages build dev
    lock
    if [ "$target" = all ]; then build fuzz fuzz_targets; else build fuzz "fuzz_$target"; fi
    unlock
    [ "$target" = all ] || all=("$target")
    for target in "${all[@]}"; do fuzz_one "$target" "$seconds" || status=1; done
    return $status
}

fuzz_one() {
    local target=$1 seconds=$2 out=$DEV/fuzz/$1 program=$ROOT/build/fuzz/bin/fuzz_$1 status=0
    local options=(-max_total_time="$seconds" -max_len=4096 -timeout=60 -rss_limit_mb=2048
        -print_final_stats=1 -artifact_prefix="$out/findings/")
    mkdir -p "$out/corpus" "$out/findings"
    [ ! -f "$ROOT/tests/fuzz/$target.dict" ] || options+=(-dict="$ROOT/tests/fuzz/$target.dict")
    say "fuzzing $target for $seconds s"
    UBSAN_OPTIONS=print_stacktrace=1 "$program" "${options[@]}" "$out/corpus" \
        "$ROOT/tests/fuzz/corpus/$target" >"$out/log" 2>&1 </dev/null || status=$?
    grep -E '^(Done [0-9]+ runs|stat::|#[0-9]+[[:space:]]+DONE)' "$out/log" || true
    [ "$status" -eq 0 ] || fuzz_tell "$target" "$status" "$out"
}

# fuzz_tell TARGET STATUS FOLDER - what was found and how to have it again; always fails.
fuzz_tell() {
    local input
    input=$(sed -n 's/.*Test unit written to \(.*\)/\1/p' "$3/log" | tail -n 1)
    show_end "$3/log" 40
    if [ -n "$input" ]; then
        warn "fuzz $1: found something; the whole output is in \"$3/log\""
        printf 'to have it again:  %q %q\n' "$ROOT/build/fuzz/bin/fuzz_$1" "$input" >&2
    else
        warn "fuzz $1: ended with $2 and left no input; the whole output is in \"$3/log\""
    fi
    return 1
}
