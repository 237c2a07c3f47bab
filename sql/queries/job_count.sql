-- How many jobs the same filter ($1 to $6 of job_list.sql) matches, counting no further than $7.
SELECT count(*) FROM (
    SELECT 1 FROM (
        (SELECT id FROM processing_jobs
         WHERE $1::boolean AND parent_job_id IS NULL AND task_type <> 'maintenance'
           AND task_type = ANY ($3::text[])
         ORDER BY id DESC LIMIT $7::bigint)
        UNION ALL
        (SELECT id FROM processing_jobs WHERE $2::boolean AND task_type = ANY ($3::text[])
         ORDER BY id DESC LIMIT $7::bigint)
        UNION ALL
        SELECT j.id FROM unnest($3::text[]) AS t (task_type), unnest($4::text[]) AS s (status), LATERAL (
            SELECT id FROM processing_jobs AS j
            WHERE parent_job_id IS NULL AND j.task_type = t.task_type AND j.status = s.status
            ORDER BY id DESC LIMIT $7::bigint) AS j
        UNION ALL
        SELECT f.id FROM unnest($5::text[]) AS s (status), LATERAL (
            SELECT id FROM processing_jobs AS f WHERE parent_job_id = $6::uuid AND f.status = s.status
            ORDER BY id DESC LIMIT $7::bigint) AS f
        UNION ALL
        SELECT f.id FROM unnest($5::text[]) AS s (status), LATERAL (
            SELECT id FROM processing_jobs AS f
            WHERE $6::uuid IS NULL AND parent_job_id IS NOT NULL AND f.status = s.status
            ORDER BY id DESC LIMIT $7::bigint) AS f) AS found
    LIMIT $7::bigint) AS matching
