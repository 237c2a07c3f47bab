-- Jobs whose row changed after $1 (seconds since 1970 by this database's clock), oldest change first, for
-- readers that missed a hint. Each branch is an index range. The first row always has the time now.
-- Files of batches that wait to be released do not count, and what came back to its old place in the lane is found
-- by who knew that it ran.
SELECT extract(epoch FROM now()), c.job_id, c.status, c.claim_epoch, extract(epoch FROM c.progress_at)
FROM (SELECT 1) AS one LEFT JOIN (
    SELECT job_id, status, claim_epoch, progress_at FROM (
        SELECT job_id, status, claim_epoch, progress_at FROM processing_jobs
        WHERE priority IN ('high', 'medium', 'low') AND status IN ('pending', 'retrying')
          AND ready_at > to_timestamp($1::double precision) AND ready_at < 'infinity'
        UNION ALL
        SELECT job_id, status, claim_epoch, progress_at FROM held_jobs
        UNION ALL
        SELECT job_id, status, claim_epoch, progress_at FROM processing_jobs
        WHERE task_type = 'directory_batch' AND status = 'processing' AND pool_id IS NULL
        UNION ALL
        SELECT job_id, status, claim_epoch, progress_at FROM processing_jobs
        WHERE completed_at > to_timestamp($1::double precision) AND parent_job_id IS NULL
        UNION ALL
        SELECT job_id, status, claim_epoch, progress_at FROM processing_jobs
        WHERE completed_at > to_timestamp($1::double precision) AND parent_job_id IS NOT NULL) AS candidates
    WHERE progress_at > to_timestamp($1::double precision)
    ORDER BY progress_at LIMIT $2::bigint) AS c ON true
