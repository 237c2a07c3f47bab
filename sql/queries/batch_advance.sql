-- Behind batch_lock: $3 files of batch $1 have ended; releases the next ones up to $2 that may run. Costs the
-- same whatever the size of the batch. Whoever holds a batch waits for none of its files: SKIP LOCKED.
-- Not now(): that is when this transaction began. Every ORDER BY is the index's own order, so that no
-- statistics make the planner read the table instead (>= 'infinity' for the same reason).
WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS t),
active AS (
    SELECT count(*) AS n FROM (
        SELECT 1 FROM processing_jobs
        WHERE parent_job_id = $1::uuid AND status IN ('pending', 'retrying', 'processing')
          AND ready_at <= (SELECT t FROM clock) ORDER BY ready_at, id LIMIT $2::int) AS a),
next AS (
    SELECT id FROM processing_jobs
    WHERE parent_job_id = $1::uuid AND status = 'pending' AND ready_at >= 'infinity'
    ORDER BY ready_at, id LIMIT (SELECT $2::int - n FROM active) FOR NO KEY UPDATE SKIP LOCKED),
released AS (
    UPDATE processing_jobs AS c SET ready_at = (SELECT t FROM clock)
    FROM next WHERE c.id = next.id RETURNING c.id, c.job_id, c.priority, c.ready_at),
moved AS (
    UPDATE processing_jobs AS p
    SET pages_done = n.done, progress = least(99.9999, greatest(p.progress + 0.0001, trunc(100.0 * n.done / n.total, 4))),
        progress_message = format('Processed file %s of %s', n.done, p.pages_total),
        progress_at = (SELECT t FROM clock)
    FROM (SELECT id, least(pages_total, pages_done + $3::int) AS done, greatest(pages_total, 1) AS total
          FROM processing_jobs WHERE job_id = $1::uuid) AS n
    WHERE p.id = n.id AND $3::int > 0
    RETURNING p.progress, p.pages_done, p.pages_total, p.progress_message)
SELECT (SELECT true FROM processing_jobs
        WHERE parent_job_id = $1::uuid AND status IN ('pending', 'retrying', 'processing')
        ORDER BY ready_at, id LIMIT 1),
       m.progress, m.pages_done, m.pages_total, m.progress_message,
       r.job_id, r.priority, floor(extract(epoch FROM r.ready_at) * 1000)::bigint
FROM (SELECT 1) AS one LEFT JOIN moved AS m ON true LEFT JOIN released AS r ON true
ORDER BY r.id
