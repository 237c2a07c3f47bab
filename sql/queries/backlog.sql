-- Whether at least $1 jobs wait; reads no more rows than that.
SELECT count(*) >= $1::bigint FROM (
    SELECT 1 FROM processing_jobs WHERE status IN ('pending', 'retrying') LIMIT $1::bigint) AS waiting
