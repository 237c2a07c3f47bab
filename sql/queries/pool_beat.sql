-- One beat: renews, writes workers and due progress, reads back what was lost and what is wanted.
-- $1 pool; workers: $2 name, $3 running, $4 processed, $5 failed, $6 job, $7 epoch;
-- due progress: $8 job, $9 epoch, $10 percent, $11 done, $12 total, $13 message.
-- Progress of a row that a finish has locked is left out: waiting would cost the pool its lease.
WITH beat AS (
    UPDATE worker_pools SET heartbeat_at = now(), beats = beats + 1
    WHERE pool_id = $1::uuid AND dead_at IS NULL RETURNING pool_id, beats),
seen AS (
    UPDATE workers AS w
    SET is_running = n.running, processed_count = n.processed, failed_count = n.failed,
        current_job = n.job
    FROM beat, unnest($2::text[], $3::int[], $4::bigint[], $5::bigint[], $6::uuid[])
               AS u (name, r, processed, failed, job),
         LATERAL (SELECT u.r <> 0 AS running, u.processed, u.failed, u.job) AS n
    WHERE w.pool_id = beat.pool_id AND w.name = u.name
      AND (w.is_running, w.processed_count, w.failed_count) IS DISTINCT FROM
          (n.running, n.processed, n.failed)
       OR w.pool_id = beat.pool_id AND w.name = u.name AND w.current_job IS DISTINCT FROM n.job),
free AS (
    SELECT j.id, due.percent, due.done, due.total, due.message
    FROM unnest($8::uuid[], $9::bigint[], $10::float8[], $11::int[], $12::int[], $13::text[])
         AS due (job, epoch, percent, done, total, message)
    JOIN processing_jobs AS j ON j.job_id = due.job AND j.claim_epoch = due.epoch
    WHERE j.status = 'processing' FOR NO KEY UPDATE OF j SKIP LOCKED),
stored AS (
    UPDATE processing_jobs AS j
    SET progress = greatest(j.progress, p.percent), pages_done = p.done, pages_total = p.total,
        progress_message = p.message, progress_at = now()
    FROM free AS p
    WHERE j.id = p.id AND j.status = 'processing'),
held AS (
    SELECT h.job, h.epoch FROM unnest($6::uuid[], $7::bigint[]) AS h (job, epoch)
    WHERE h.job IS NOT NULL),
lost AS (
    SELECT array_agg(h.job) AS jobs FROM held AS h
    WHERE NOT EXISTS (
        SELECT 1 FROM processing_jobs AS j
        WHERE j.job_id = h.job AND j.claim_epoch = h.epoch AND j.status = 'processing'))
SELECT (SELECT beats FROM beat), array_to_string(lost.jobs, ','),
       c.running, c.now, c.max_workers, c.high_priority_workers
FROM lost LEFT JOIN worker_control AS c ON true
