-- Chunks of a revision; ids are derived, so the same document gives the same ids.
INSERT INTO chunks (revision_id, chunk_index, chunk_id, content, page_start, page_end, spans,
                    heading_path, token_count)
SELECT $1::uuid, c.i, md5($1::text || ':' || c.i)::uuid, c.content, c.first, c.last, c.spans::jsonb,
       c.headings::jsonb, c.tokens
FROM unnest($2::int[], $3::text[], $4::int[], $5::int[], $6::text[], $7::text[], $8::int[])
     AS c (i, content, first, last, spans, headings, tokens)
