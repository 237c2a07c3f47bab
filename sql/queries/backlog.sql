-- How many jobs wait, but no more than $1 (files of a batch only once they may run); reads no more rows than that.
SELECT count(*) FROM (
    SELECT 1 FROM processing_jobs
    WHERE status IN ('pending', 'retrying') AND priority IN ('high', 'medium', 'low')
          AND ready_at < 'infinity' LIMIT $1::bigint) AS waiting
