#!/bin/sh
# SPDX-License-Identifier: AGPL-3.0-or-later
# man.sh PROGRAM - prints the manual page of localrag-server or localrag-worker as roff, from its --help.
#
# The help is read by its form: the usage line, paragraphs, lines "  --option  text" and "  command  text",
# and below the line "Settings…:" lines "  NAME  text". What has another form is an error, so that the page
# cannot lose a line unseen. The date is SOURCE_DATE_EPOCH's, else today.
set -eu
program=$1
name=$(basename "$program")
date=$(date -u -d "@${SOURCE_DATE_EPOCH:-$(date +%s)}" +%Y-%m-%d)
version=$("$program" --version)
case $name in
localrag-server) about='takes documents over gRPC and REST and runs the jobs for them' ;;
localrag-worker) about='runs the jobs of a LocalRAG server' ;;
*) echo "man.sh: no page for \"$name\"" >&2; exit 1 ;;
esac

"$program" --help | awk -v name="$name" -v date="$date" -v version="$version" -v about="$about" '
    function roff(s) {
        gsub(/\\/, "\\e", s)
        gsub(/-/, "\\-", s)
        if (s ~ /^[.\x27]/) s = "\\\\&" s
        return s
    }
    function sentence(s) { return toupper(substr(s, 1, 1)) substr(s, 2) (s ~ /[.]$/ ? "" : ".") }
    function item(line,    word) {
        word = line
        sub(/^  /, "", word)
        sub(/ .*/, "", word)
        sub(/^ *[^ ]+ +/, "", line)
        printf ".TP\n\\fB%s\\fR\n%s\n", roff(word), roff(line ~ /^\// ? line "." : sentence(line))
    }
    BEGIN {
        printf ".TH %s 8 %s \"%s\" \"System Administration\"\n", toupper(roff(name)), date, version
        printf ".SH NAME\n%s \\- %s\n", roff(name), about
    }
    /^usage: / {
        sub(/^usage: [^ ]+ ?/, "")
        printf ".SH SYNOPSIS\n\\fB%s\\fR %s\n.SH DESCRIPTION\n", roff(name), roff($0)
        next
    }
    /^Settings.*:$/ {
        print ".SH ENVIRONMENT"
        print "Read from the environment and from a file named"
        print ".I .env"
        print "in the working directory; the environment wins."
        settings = 1
        next
    }
    /^  [^ ]+ +[^ ]/ {
        if (!settings && !options++) print ".SH OPTIONS"
        item($0)
        next
    }
    /^$/ { next }
    /^[^ ]/ { print roff($0); next }
    { printf "man.sh: the help of %s has a line of unknown form: %s\n", name, $0 >"/dev/stderr"; bad = 1 }
    END {
        if (bad || !settings || !options) exit 1
        print ".SH EXIT STATUS\n.TP\n\\fB0\\fR\nA clean stop."
        print ".TP\n\\fB2\\fR\nThe configuration is bad; every bad setting is named."
        print ".TP\n\\fB1\\fR\nAnything else."
        print ".SH SEE ALSO\n.BR localrag (1),"
        print name == "localrag-server" ? ".BR localrag\\-worker (8)" : ".BR localrag\\-server (8)"
    }'
