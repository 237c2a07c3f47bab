#!/usr/bin/env bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# check.sh NAME - one search of claim.pml by SPIN. CMakeLists.txt lists the names; each is a test.
#
# The first four have to find nothing, and must have looked everywhere: a search that was cut off by
# its depth, its memory or an unreached step proves nothing and fails. The others are the same searches
# of a protocol with one thing broken, and have to find exactly the harm that thing prevents: they
# show that the first four can fail.
set -uo pipefail
name=$1
model=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/claim.pml
for tool in spin gcc; do
    command -v "$tool" >/dev/null || { echo "skipped: no $tool"; exit 77; }
done

safe="" # what may never happen; nothing is bounded
ends="-DLIVE -DFAULTS=2 -DREQUESTS=1" # what must happen
less="-DLIVE -DFAULTS=1 -DREQUESTS=1" # the same, smaller
calm="-DLIVE -DFAULTS=0 -DREQUESTS=2 -DRETRIES=0 -DNO_SWEEP" # no faults: the hints alone must do
kind=SAFETY
finds=""
only_owner='owner==\(_pid\+1\)' # a write that is not the current claim's
second_claim='owner==0'
left_end='status!=[13]' # completed, cancelled: SPIN prints an mtype's number
past_limit='crashes<3'
lost_job='status==3' # a job that has not ended although nothing can happen any more
case $name in
safe) defs=$safe ;;
ends) defs=$ends ;;
finite) defs=$less kind=NP ;;
calm) defs=$calm ;;
no_fence) defs="$safe -DNO_FENCE" finds=$only_owner ;;
no_status) defs="$safe -DNO_STATUS" finds="$left_end|$only_owner" ;;
no_lock) defs="$safe -DNO_LOCK" finds="$left_end|$only_owner" ;;
same_epoch) defs="$safe -DSAME_EPOCH" finds=$only_owner ;;
epoch_reset) defs="$safe -DEPOCH_RESET" finds=$only_owner ;;
claim_any) defs="$safe -DCLAIM_ANY" finds=$second_claim ;;
cancel_any) defs="$safe -DCANCEL_ANY" finds=$left_end ;;
retry_any) defs="$safe -DRETRY_ANY" finds=$left_end ;;
no_limit) defs="$safe -DNO_LIMIT" finds=$past_limit ;;
no_sweep) defs="$less -DNO_SWEEP" finds=$lost_job ;;
no_freeing) defs="$less -DNO_FREEING" finds=$lost_job ;;
no_strays) defs="$less -DNO_STRAYS" finds=$lost_job ;;
push_first) defs="$calm -DPUSH_FIRST" finds=$lost_job ;;
*) echo "no such search: $name"; exit 2 ;;
esac

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 2
broken() {
    cat out
    echo "BROKEN: $*"
    exit 1
}

# shellcheck disable=SC2086 # several words
spin -a $defs "$model" >out 2>&1 || broken "spin does not understand the model"
level=-O2
[ -z "$finds" ] || level=-O0
gcc $level -w "-D$kind" -DMEMLIM=1500 -o pan pan.c >out 2>&1 ||
    broken "the search does not compile"
options=(-m3000000 -w22)
[ $kind = SAFETY ] || options+=(-l)
nice -n 19 ./pan "${options[@]}" >out 2>&1
sed -i "s|$model:|claim.pml:|" out

if [ -n "$finds" ]; then
    grep -qE "^pan:1: assertion violated .*($finds)" out || broken "found no \"$finds\""
    grep -q 'errors: 1$' out || broken "no error"
    grep '^pan:1:' out
    exit 0
fi
grep -q 'errors: 0$' out || broken "an error"
! grep -qiE 'search not completed|max search depth too small|reached -DMEMLIM|out of memory|truncated' out ||
    broken "the search is not complete"
grep -q 'Full statespace search' out || broken "no full search"
# Only the ends of processes that never end.
unreached=$(sed -n 's/^\tclaim.pml:\([0-9]*\), state [0-9]*, /line \1: /p' out | grep -v '"-end-"' || true)
[ "$name" != safe ] || [ -z "$unreached" ] || broken "never reached: $unreached"
grep -E 'errors: 0$|states, stored|total actual memory|elapsed' out
