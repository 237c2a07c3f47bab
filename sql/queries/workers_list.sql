-- Workers of all living pools. A heartbeat older than 10 s is no heartbeat.
SELECT w.name, w.priority, w.is_running AND p.heartbeat_at > now() - interval '10 seconds',
       w.processed_count, w.failed_count, w.current_job, extract(epoch FROM w.started_at), p.host,
       p.pid, p.pool_id, extract(epoch FROM p.heartbeat_at)
FROM workers AS w JOIN worker_pools AS p USING (pool_id)
WHERE p.dead_at IS NULL
ORDER BY w.priority DESC, p.host, length(w.name), w.name
