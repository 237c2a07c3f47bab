# shellcheck shell=bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# build.sh - build, test, bench, clean.

# build PRESET [TARGET]... - configures if needed and runs ninja; silent when there was nothing to do.
build() {
    local preset=$1 dir=$ROOT/build/$1 log=$ROOT/build/$1.log start=$SECONDS
    shift
    [[ " $(build_presets) " == *" $preset "* ]] ||
        die "no preset \"$preset\"; there are: $(build_presets)"
    mkdir -p "$ROOT/build"
    # A checkout that was moved or copied with its build folder: CMake refuses, so start afresh.
    if [ -f "$dir/CMakeCache.txt" ] && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$ROOT" "$dir/CMakeCache.txt"; then
        rm -rf "$dir"
    fi
    if [ ! -f "$dir/build.ninja" ]; then
        say "configuring ($preset)"
        (cd "$ROOT" && cmake --preset "$preset") >"$log" 2>&1 9>&- ||
            { show_end "$log" 40; die "cmake failed, the whole output is in \"$log\""; }
    fi
    announce "building ($preset)" 9>&- &
    local announcer=$! status=0
    ninja -C "$dir" "$@" >"$log" 2>&1 9>&- || status=$?
    kill "$announcer" 2>/dev/null || true
    wait "$announcer" 2>/dev/null || true
    [ "$status" -eq 0 ] || {
        grep -n -m 40 -A 12 -E '^FAILED|error:|undefined reference' "$log" | head -n 80 >&2
        die "the build failed, the whole output is in \"$log\""
    }
    [ $((SECONDS - start)) -lt 2 ] || say "built ($preset) in $((SECONDS - start)) s"
}

# announce TEXT - says it after a second, so that a build with nothing to do is silent. Waits on a pipe
# that nobody writes to: a sleep would live on when this is killed.
announce() {
    local never
    exec {never}<> <(:)
    read -rt 1 -u "$never" || say "$1"
}

build_presets() { sed -n 's/.*"name": "\([a-z]*\)".*/\1/p' "$ROOT/CMakePresets.json" | grep -v base | xargs; }

cmd_build() {
    [ $# -le 1 ] || usage_error "build takes one preset"
    local preset=${1:-release}
    need_packages build
    if [[ $preset = clang || $preset = fuzz ]]; then need_packages dev; fi
    lock
    build "$preset"
    say "programs are in build/$preset/bin/"
}

# cmd_test [-k REGEX] [PRESET] - one private PostgreSQL and Redis for the run; each test makes its own
# database in it and names its own queue, so they can run side by side.
cmd_test() {
    local regex='' presets=()
    while [ $# -gt 0 ]; do
        case $1 in
        -k) regex=${2-}; [ -n "$regex" ] || usage_error "-k takes a regular expression"; shift 2 ;;
        -*) usage_error "test does not know \"$1\"" ;;
        *) presets+=("$1"); shift ;;
        esac
    done
    [ ${#presets[@]} -gt 0 ] || presets=(release asan)
    need_packages build test
    local preset
    lock
    for preset in "${presets[@]}"; do
        ( build "$preset" ) || { echo "0 passed, 1 failed"; exit 1; }
    done
    unlock
    TEST_DIR=$DEV/test-$$
    mkdir -p "$TEST_DIR"
    trap 'servers_remove "$TEST_DIR"' EXIT
    trap 'exit 130' INT TERM HUP
    servers_start "$TEST_DIR"
    export TEST_DATABASE_URL=$PRIVATE_DATABASE_URL TEST_REDIS_URL=$PRIVATE_REDIS_URL
    # The tests make their own; nothing of the caller's may reach what they start.
    unset DATABASE_URL REDIS_URL "${!TASK_@}" "${!POSTGRES_@}" "${!REDIS_@}" PORT GRPC_PORT ADMIN_PORT HOST
    export UBSAN_OPTIONS=print_stacktrace=1 ASAN_OPTIONS=detect_stack_use_after_return=1
    PASSED=0 FAILED=0 SKIPPED=0
    for preset in "${presets[@]}"; do test_preset "$preset" "$regex"; done
    if [ "${CI-}" = true ]; then
        FAILED=$((FAILED + SKIPPED))
        SKIPPED=0
    fi
    local line="$PASSED passed, $FAILED failed"
    [ "$SKIPPED" -eq 0 ] || line="$line, $SKIPPED skipped"
    [ $((PASSED + FAILED)) -gt 0 ] || { warn "no test matches \"$regex\""; FAILED=1; }
    echo "$line"
    [ "$FAILED" -eq 0 ]
}

test_preset() {
    local preset=$1 regex=$2 status=0 xml=$TEST_DIR/$1.xml
    say "testing ($preset)"
    ctest --test-dir "$ROOT/build/$preset" -j "$(nproc)" --timeout 300 --output-on-failure \
        --output-junit "$xml" ${regex:+-R "$regex"} || status=$?
    local tests failures skipped disabled
    tests=$(junit_count "$xml" tests) failures=$(junit_count "$xml" failures)
    skipped=$(junit_count "$xml" skipped) disabled=$(junit_count "$xml" disabled)
    # ctest may also fail as a whole (a crash of its own, a missing program).
    if [ "$status" -ne 0 ] && [ "$failures" -eq 0 ]; then failures=1 tests=$((tests + 1)); fi
    FAILED=$((FAILED + failures))
    SKIPPED=$((SKIPPED + skipped + disabled))
    PASSED=$((PASSED + tests - failures - skipped - disabled))
}

junit_count() {
    local n
    n=$(grep -m 1 -A 12 '<testsuite' "$1" 2>/dev/null | grep -m 1 -o "$2=\"[0-9]*\"" | tr -dc 0-9) || n=0
    echo "${n:-0}"
}

# cmd_bench [NAME]... - bench/NAME.py, or NAME_.py where Python has a module of that name; each with its own
# servers; it keeps JSON lines in .dev/bench/.
# 0: every bar is met, 1: some are not, 2: something could not be measured.
cmd_bench() {
    local names=("$@") name file all
    mapfile -t all < <(cd "$ROOT/bench" && printf '%s\n' *.py | sed 's/_\{0,1\}\.py$//' | grep -vxE 'lib|peer')
    [ $# -gt 0 ] || names=("${all[@]}")
    for name in "${names[@]}"; do
        [[ " ${all[*]} " == *" $name "* ]] || die "no benchmark \"$name\"; there are: ${all[*]}"
    done
    need_packages build bench
    lock
    build release "${PROGRAMS[@]}" bench-loop bench-queue-noop
    unlock
    local status=0 got open=''
    for name in "${names[@]}"; do
        say "bench $name"
        got=0
        file=$ROOT/bench/$name.py
        [ -f "$file" ] || file=$ROOT/bench/${name}_.py
        python3 "$file" || got=$?
        [ "$got" -lt 128 ] || exit "$got"
        [ "$got" -eq 0 ] || open="$open $name"
        [ "$got" -le "$status" ] || status=$got
    done
    [ -z "$open" ] || warn "not met or not measured:$open"
    return "$status"
}

cmd_clean() {
    case ${1-} in
    '') ;;
    --data) ;;
    *) usage_error "clean knows --data only" ;;
    esac
    if [ "${1-}" = --data ] && [ -d "$DEV" ]; then
        cmd_down
        say "removing .dev/ (jobs, documents and databases of the private stack)"
        unlock
        rm -rf "$DEV"
    fi
    say "removing build/"
    rm -rf "$ROOT/build"
}
