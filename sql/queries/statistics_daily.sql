-- The last 30 days that have a row.
SELECT date, total_jobs, completed_jobs, failed_jobs, cancelled_jobs, avg_processing_time, pages
FROM job_statistics ORDER BY date DESC LIMIT 30
