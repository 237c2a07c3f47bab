-- How many jobs the same filter ($1 to $5 of job_list.sql) matches, counting no further than $6.
SELECT count(*) FROM (
    SELECT 1 FROM (
        (SELECT id FROM processing_jobs WHERE $1::boolean AND task_type = ANY ($2::text[])
         ORDER BY id DESC LIMIT $6::bigint)
        UNION ALL
        SELECT j.id FROM unnest($2::text[]) AS t (task_type), unnest($3::text[]) AS s (status), LATERAL (
            SELECT id FROM processing_jobs AS j
            WHERE parent_job_id IS NULL AND j.task_type = t.task_type AND j.status = s.status
            ORDER BY id DESC LIMIT $6::bigint) AS j
        UNION ALL
        SELECT f.id FROM unnest($4::text[]) AS s (status), LATERAL (
            SELECT id FROM processing_jobs AS f WHERE parent_job_id = $5::uuid AND f.status = s.status
            ORDER BY id DESC LIMIT $6::bigint) AS f
        UNION ALL
        SELECT f.id FROM unnest($4::text[]) AS s (status), LATERAL (
            SELECT id FROM processing_jobs AS f
            WHERE $5::uuid IS NULL AND parent_job_id IS NOT NULL AND f.status = s.status
            ORDER BY id DESC LIMIT $6::bigint) AS f) AS found
    LIMIT $6::bigint) AS matching
