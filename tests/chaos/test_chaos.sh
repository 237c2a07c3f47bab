#!/usr/bin/env bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# test_chaos.sh BUILD_DIR - forty seconds of every kind of fault, then the ledger (chaos.py); servers of its own.
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
PYTHONDONTWRITEBYTECODE=1 exec /usr/bin/python3 "$HERE/chaos.py" 40 --seed 7 --gap 1.2 --build "$1"
