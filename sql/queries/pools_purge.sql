-- Dead pools that nobody asks for any more.
DELETE FROM worker_pools WHERE dead_at < now() - interval '1 hour'
