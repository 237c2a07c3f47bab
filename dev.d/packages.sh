# shellcheck shell=bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# packages.sh - makes sure that the Debian packages of cmake/packages.txt are there.
#
# Installing leaves no new system service: starts are forbidden while apt runs (policy-rc.d), the
# units that came are disabled, and postgresql-15 is kept from making its "main" cluster.

# package_list SECTION... - names, without comments.
package_list() {
    awk -v want=" $* " '
        /^\[/ { gsub(/[][]/, ""); on = index(want, " " $1 " "); next }
        on && !/^#/ && NF { print $1 }' "$ROOT/cmake/packages.txt"
}

# need_packages SECTION... - returns at once (a few ms) when nothing is missing.
need_packages() {
    local wanted missing
    command -v dpkg-query >/dev/null ||
        die "this needs Debian 12 (no dpkg here); see cmake/packages.txt for what to install by hand"
    mapfile -t wanted < <(package_list "$@")
    # shellcheck disable=SC2016 # a dpkg format, not a shell variable
    mapfile -t missing < <(
        dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${wanted[@]}" 2>/dev/null |
            awk '$1 == "installed" { print $2 }' | sort |
            comm -13 - <(printf '%s\n' "${wanted[@]}" | sort))
    [ ${#missing[@]} -eq 0 ] || install_packages "${missing[@]}"
}

install_packages() {
    command -v apt-get >/dev/null || die "missing packages and no apt-get: $*"
    local sudo=()
    if [ "$EUID" -ne 0 ]; then
        command -v sudo >/dev/null || die "not root and no sudo; install as root: apt-get install $*"
        sudo=(sudo)
    fi
    say "installing $# packages ($(echo "$@" | cut -c1-60)...)"
    mkdir -p "$DEV/log"
    local log=$DEV/log/apt.log
    # One root shell does it all, so that whatever it changed for the time is put back by its trap.
    "${sudo[@]}" bash "$ROOT/dev.d/apt-install.sh" "$@" >"$log" 2>&1 </dev/null ||
        { show_end "$log" 25; die "could not install packages; the whole output is in \"$log\""; }
}
