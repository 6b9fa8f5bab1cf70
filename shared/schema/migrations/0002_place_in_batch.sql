-- A score keeps its place in its batch, so that a rejected one finds its place again when it is replayed; and what goes
-- from the rollups goes at once, not bucket by bucket.

ALTER TABLE scores ADD COLUMN batch_index integer NOT NULL DEFAULT 0;

-- Takes scores away from their buckets. `gone` has what goes, by bucket, of both widths. All of it at once: scores of
-- ten thousand environments of one quarter must not read that quarter ten thousand times. And by LATERAL and ON
-- CONFLICT only, which go by the index: a join of so many with so many goes wrong where the planner expects few.
CREATE OR REPLACE FUNCTION take_from_score_rollups() RETURNS trigger LANGUAGE plpgsql SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    gone score_rollups[];
BEGIN
    PERFORM lock_scores_alone(ARRAY(SELECT DISTINCT project_id FROM old_scores));
    gone := ARRAY(
        SELECT ROW(
            project_id, date_bin(w.step, scored_at, 'epoch'), count(*), min(numeric_value), max(numeric_value),
            w.width, name, data_type, source, environment, coalesce(categorical_value, boolean_value::text, ''),
            sum(numeric_value::text::numeric), sum(numeric_value::text::numeric * numeric_value::text::numeric)
        )::score_rollups
        FROM old_scores
        CROSS JOIN (VALUES ('quarter', interval '15 minutes'), ('day', interval '1 day')) AS w (width, step)
        GROUP BY
            project_id, date_bin(w.step, scored_at, 'epoch'), w.width, name, data_type, source, environment,
            coalesce(categorical_value, boolean_value::text, '')
    );
    PERFORM subtract_from_score_rollups(gone);
    PERFORM read_quarter_extremes_again(gone);
    PERFORM read_day_extremes_again(gone);  -- from the quarters: hence after them
    RETURN NULL;
END
$$;

CREATE FUNCTION subtract_from_score_rollups(gone score_rollups[]) RETURNS void
    LANGUAGE plpgsql SET plan_cache_mode = force_custom_plan AS $$
BEGIN
    INSERT INTO score_rollups AS r
        (project_id, width, bucket, name, data_type, source, environment, label, count, sum, sum_squares)
    SELECT project_id, width, bucket, name, data_type, source, environment, label, -count, -sum, -sum_squares
    FROM unnest(gone)
    ON CONFLICT (project_id, width, name, bucket, data_type, source, environment, (md5(label)::uuid)) DO UPDATE
    SET count = r.count + excluded.count,
        sum = r.sum + excluded.sum,
        sum_squares = r.sum_squares + excluded.sum_squares;

    DELETE FROM score_rollups
    WHERE ctid = ANY (ARRAY(SELECT is_now.ctid FROM buckets_now(gone) AS is_now WHERE is_now.count = 0));
END
$$;

-- The buckets of `gone` as they are now, and the extremes of what went.
CREATE FUNCTION buckets_now(gone score_rollups[]) RETURNS TABLE (
    ctid tid, project_id uuid, width text, bucket timestamptz, name text, source text, environment text, count bigint,
    min double precision, max double precision, gone_min double precision, gone_max double precision
) LANGUAGE sql STABLE ROWS 10 SET plan_cache_mode = force_custom_plan AS $$
    SELECT
        r.ctid, r.project_id, r.width, r.bucket, r.name, r.source, r.environment, r.count, r.min, r.max, g.min, g.max
    FROM unnest(gone) AS g
    CROSS JOIN LATERAL (
        SELECT s.ctid, s.* FROM score_rollups AS s
        WHERE s.project_id = g.project_id AND s.width = g.width AND s.name = g.name AND s.bucket = g.bucket
            AND s.data_type = g.data_type AND s.source = g.source AND s.environment = g.environment
            AND md5(s.label)::uuid = md5(g.label)::uuid
        LIMIT 1
    ) AS r
$$;

-- Quarters that lost a score as small as their smallest, or as large as their largest. Most often another score with
-- the same value remains and is among the first ones. Where it isn't, the quarter is read whole, once.
CREATE FUNCTION read_quarter_extremes_again(gone score_rollups[]) RETURNS void
    LANGUAGE plpgsql SET plan_cache_mode = force_custom_plan AS $$
BEGIN
    INSERT INTO score_rollups AS r
        (project_id, width, bucket, name, data_type, source, environment, label, count, sum, sum_squares, min, max)
    WITH doubtful AS MATERIALIZED (
        SELECT project_id, name, bucket, source, environment, min, max, gone_min <= min AS min_is, gone_max >= max AS max_is
        FROM buckets_now(gone)
        WHERE width = 'quarter' AND (gone_min <= min OR gone_max >= max)
    ),
    first_ones AS (
        SELECT
            d.project_id, d.name, d.bucket, s.source, s.environment,
            min(s.numeric_value) AS min, max(s.numeric_value) AS max
        FROM (SELECT DISTINCT project_id, name, bucket FROM doubtful) AS d
        CROSS JOIN LATERAL (
            SELECT source, environment, numeric_value FROM scores
            WHERE project_id = d.project_id AND name = d.name AND data_type = 'NUMERIC'
                AND scored_at >= d.bucket AND scored_at < d.bucket + interval '15 minutes'
            LIMIT 200
        ) AS s
        GROUP BY 1, 2, 3, 4, 5
    ),
    unknown AS (
        SELECT project_id, name, bucket
        FROM (
            SELECT
                project_id, name, bucket, source, environment, min, max, min_is, max_is,
                NULL::double precision AS first_min, NULL::double precision AS first_max
            FROM doubtful
            UNION ALL
            SELECT project_id, name, bucket, source, environment, NULL, NULL, false, false, min, max FROM first_ones
        ) AS side_by_side
        GROUP BY project_id, name, bucket, source, environment
        HAVING (bool_or(min_is) AND min(min) IS DISTINCT FROM min(first_min))
            OR (bool_or(max_is) AND max(max) IS DISTINCT FROM max(first_max))
    )
    SELECT u.project_id, 'quarter', u.bucket, u.name, 'NUMERIC', s.source, s.environment, '', 0, 0, 0, s.min, s.max
    FROM (SELECT DISTINCT project_id, name, bucket FROM unknown) AS u
    CROSS JOIN LATERAL (
        SELECT source, environment, min(numeric_value) AS min, max(numeric_value) AS max FROM scores
        WHERE project_id = u.project_id AND name = u.name AND data_type = 'NUMERIC'
            AND scored_at >= u.bucket AND scored_at < u.bucket + interval '15 minutes'
        GROUP BY source, environment
    ) AS s
    ON CONFLICT (project_id, width, name, bucket, data_type, source, environment, (md5(label)::uuid)) DO UPDATE
    SET min = excluded.min, max = excluded.max
    WHERE (r.min, r.max) IS DISTINCT FROM (excluded.min, excluded.max);
END
$$;

CREATE FUNCTION read_day_extremes_again(gone score_rollups[]) RETURNS void
    LANGUAGE plpgsql SET plan_cache_mode = force_custom_plan AS $$
BEGIN
    INSERT INTO score_rollups AS r
        (project_id, width, bucket, name, data_type, source, environment, label, count, sum, sum_squares, min, max)
    SELECT d.project_id, 'day', d.bucket, d.name, 'NUMERIC', q.source, q.environment, '', 0, 0, 0, q.min, q.max
    FROM (
        SELECT DISTINCT project_id, name, bucket FROM buckets_now(gone)
        WHERE width = 'day' AND (gone_min <= min OR gone_max >= max)
    ) AS d
    CROSS JOIN LATERAL (
        SELECT source, environment, min(min) AS min, max(max) AS max FROM score_rollups
        WHERE project_id = d.project_id AND width = 'quarter' AND name = d.name AND data_type = 'NUMERIC'
            AND bucket >= d.bucket AND bucket < d.bucket + interval '1 day'
        GROUP BY source, environment
    ) AS q
    ON CONFLICT (project_id, width, name, bucket, data_type, source, environment, (md5(label)::uuid)) DO UPDATE
    SET min = excluded.min, max = excluded.max
    WHERE (r.min, r.max) IS DISTINCT FROM (excluded.min, excluded.max);
END
$$;

DROP FUNCTION take_from_score_rollup;
