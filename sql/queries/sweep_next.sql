-- When the next attempt of a job is due, in ms from now. Jobs that came since the tick began are not waited for.
SELECT (extract(epoch FROM min(ready_at) - now()) * 1000)::bigint FROM (
    SELECT (SELECT ready_at FROM processing_jobs
            WHERE priority = p AND status = 'retrying' AND ready_at > now() AND ready_at < 'infinity'
            ORDER BY ready_at LIMIT 1) AS ready_at
    FROM unnest(ARRAY['high', 'medium', 'low']) AS p) AS next
