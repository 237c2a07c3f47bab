#!/bin/sh
# embed-sql.sh SQL_DIR OUT_DIR - turns sql/queries/*.sql and sql/migrations/*.sql into C.
# Comment lines and the trailing semicolon are left out of queries: they are prepared by name.
set -eu
sql=$1 out=$2
mkdir -p "$out"

quote() { sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/    "/' -e 's/$/\\n"/'; }

{
    echo '/* generated from sql/ */'
    echo '#ifndef SQL_QUERIES_H'
    echo '#define SQL_QUERIES_H'
    echo 'struct query { const char *name; const char *text; };'
    echo 'struct migration { int number; const char *name; const char *text; };'
    for f in "$sql"/queries/*.sql; do
        echo "extern const struct query q_$(basename "$f" .sql);"
    done
    echo 'extern const struct query *const queries_all[];'
    echo 'extern const int queries_count;'
    echo 'extern const struct migration migrations_all[];'
    echo 'extern const int migrations_count;'
    echo '#endif'
} >"$out/queries.h"

{
    echo '/* generated from sql/ */'
    echo '#include "sql/queries.h"'
    for f in "$sql"/queries/*.sql; do
        name=$(basename "$f" .sql)
        echo "const struct query q_$name = {\"$name\","
        sed -e '/^ *--/d' -e 's/;[[:space:]]*$//' "$f" | quote
        echo '};'
    done
    echo 'const struct query *const queries_all[] = {'
    for f in "$sql"/queries/*.sql; do echo "    &q_$(basename "$f" .sql),"; done
    echo '};'
    echo 'const int queries_count = sizeof(queries_all) / sizeof(queries_all[0]);'
    echo 'const struct migration migrations_all[] = {'
    for f in "$sql"/migrations/*.sql; do
        name=$(basename "$f" .sql)
        number=$(echo "$name" | sed -e 's/_.*//' -e 's/^0*//')
        echo "{$number, \"$name\","
        quote <"$f"
        echo '},'
    done
    echo '};'
    echo 'const int migrations_count = sizeof(migrations_all) / sizeof(migrations_all[0]);'
} >"$out/queries.c"
