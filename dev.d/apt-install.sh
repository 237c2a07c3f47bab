#!/usr/bin/env bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# apt-install.sh PACKAGE... - run as root by packages.sh; installs and leaves no new service behind.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive

policy=/usr/sbin/policy-rc.d
conf=/etc/postgresql-common/createcluster.conf
saved=$(mktemp -d)

restore() {
    [ -e "$saved/no-policy" ] && rm -f "$policy"
    [ -e "$saved/policy" ] && cp -p "$saved/policy" "$policy"
    [ -e "$saved/conf" ] && cp -p "$saved/conf" "$conf"
    rm -rf "$saved"
}
trap restore EXIT
trap 'exit 1' INT TERM HUP

if [ -e "$policy" ]; then cp -p "$policy" "$saved/policy"; else touch "$saved/no-policy"; fi
printf '#!/bin/sh\nexit 101\n' >"$policy"
chmod 755 "$policy"

install() {
    apt-get -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold \
        install -y --no-install-recommends "$@"
}

apt-get -o DPkg::Lock::Timeout=300 update
if printf '%s\n' "$@" | grep -qx postgresql-15; then
    install postgresql-common
    cp -p "$conf" "$saved/conf"
    echo 'create_main_cluster = false' >>"$conf"
fi
install "$@"

# Only the services that came with what we just installed.
for package in "$@"; do
    case $package in
    postgresql-15) unit=postgresql ;;
    redis-server) unit=redis-server ;;
    *) continue ;;
    esac
    if command -v systemctl >/dev/null; then
        systemctl disable "$unit" || true
    elif command -v update-rc.d >/dev/null; then
        update-rc.d "$unit" disable || true
    fi
done
