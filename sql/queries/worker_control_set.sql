-- What an operator asks for; $1 running, $2 now, $3 most workers of a pool, $4 of them high only.
INSERT INTO worker_control (running, now, max_workers, high_priority_workers)
VALUES ($1::boolean, $2::boolean, $3::int, $4::int)
ON CONFLICT (one) DO UPDATE
SET running = excluded.running, now = excluded.now, max_workers = excluded.max_workers,
    high_priority_workers = excluded.high_priority_workers,
    changed_at = CASE WHEN worker_control.running = excluded.running THEN worker_control.changed_at
                      ELSE now() END
