-- Waiting jobs by priority, from the truth.
SELECT priority, count(*) FROM processing_jobs
WHERE status IN ('pending', 'retrying') GROUP BY priority
