-- Whether at least $1 jobs wait (files of a batch only once they may run); reads no more rows than that.
SELECT count(*) >= $1::bigint FROM (
    SELECT 1 FROM processing_jobs
    WHERE status IN ('pending', 'retrying') AND ready_at < 'infinity' LIMIT $1::bigint) AS waiting
