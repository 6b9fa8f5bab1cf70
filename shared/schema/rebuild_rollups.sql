-- Make the rollups of one project anew from its rows: psql "$DATABASE_URL" -v project=UUID -f rebuild_rollups.sql
--
-- For an operator, after `verify_rollups` has found a difference. The project's writes wait meanwhile (its scores stay in
-- the queue), its reads don't. Running it twice is harmless.

\set ON_ERROR_STOP on
BEGIN;

SELECT lock_scores_alone(ARRAY[:'project'::uuid]);

DELETE FROM score_rollups WHERE project_id = :'project';

INSERT INTO score_rollups
    (project_id, width, bucket, name, data_type, source, environment, label, count, sum, sum_squares, min, max)
SELECT
    project_id, w.width, w.bucket, name, data_type, source, environment,
    coalesce(categorical_value, boolean_value::text, ''),
    count(*),
    sum(numeric_value::text::numeric),
    sum(numeric_value::text::numeric * numeric_value::text::numeric),
    min(numeric_value),
    max(numeric_value)
FROM scores
CROSS JOIN LATERAL (
    VALUES
        ('quarter', date_bin('15 minutes', scored_at, 'epoch')),
        ('day', date_bin('1 day', scored_at, 'epoch')),
        ('month', date_trunc('month', scored_at, 'UTC'))
) AS w (width, bucket)
WHERE project_id = :'project'
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8;

COMMIT;
