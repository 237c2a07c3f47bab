-- Drops the chunks of a revision.
DELETE FROM chunks WHERE revision_id = $1::uuid
