-- A third width of rollups, so that all time costs its months and not its days. The api of before does not look at it;
-- the nightly verification of before takes it for a difference, until its worker is of this release too.
--
-- Scores wait while the months are filled from the days (as long as it takes to read the rollups of all days): what is
-- written meanwhile by the functions of before would be in no month. Reads do not wait.

LOCK TABLE scores IN SHARE ROW EXCLUSIVE MODE;

CREATE OR REPLACE FUNCTION add_to_score_rollups() RETURNS trigger LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO score_rollups AS r
        (project_id, width, bucket, name, data_type, source, environment, label, count, sum, sum_squares, min, max)
    WITH quarters AS (
        SELECT
            project_id, date_bin('15 minutes', scored_at, 'epoch') AS quarter, name, data_type, source, environment,
            coalesce(categorical_value, boolean_value::text, '') AS label,
            count(*) AS count,
            sum(decimal_value) AS sum,
            sum(decimal_value * decimal_value) AS sum_squares,
            min(numeric_value) AS min,
            max(numeric_value) AS max
        FROM (SELECT *, numeric_value::text::numeric AS decimal_value FROM new_scores OFFSET 0) AS once_converted
        GROUP BY 1, 2, 3, 4, 5, 6, 7
    ),
    buckets AS (
        SELECT 'quarter' AS width, quarter AS bucket, * FROM quarters
        UNION ALL
        SELECT 'day', date_bin('1 day', quarter, 'epoch'), * FROM quarters
        UNION ALL
        SELECT 'month', date_trunc('month', quarter, 'UTC'), * FROM quarters
    )
    SELECT
        project_id, width, bucket, name, data_type, source, environment, label,
        sum(count), sum(sum), sum(sum_squares), min(min), max(max)
    FROM buckets
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
    ORDER BY 1, 2, 4, 3, 5, 6, 7, 8
    ON CONFLICT (project_id, width, name, bucket, data_type, source, environment, (md5(label)::uuid)) DO UPDATE
    SET count = r.count + excluded.count,
        sum = r.sum + excluded.sum,
        sum_squares = r.sum_squares + excluded.sum_squares,
        min = least(r.min, excluded.min),
        max = greatest(r.max, excluded.max);
    RETURN NULL;
END
$$;

-- Takes scores away from their buckets. `gone` has what goes, by bucket, of all widths. All of it at once: scores of
-- ten thousand environments of one quarter must not read that quarter ten thousand times. And by LATERAL and ON
-- CONFLICT only, which go by the index: a join of so many with so many goes wrong where the planner expects few.
CREATE OR REPLACE FUNCTION take_from_score_rollups() RETURNS trigger LANGUAGE plpgsql
    SECURITY DEFINER SET plan_cache_mode = force_custom_plan SET search_path = public, pg_temp AS $$
DECLARE
    gone score_rollups[];
BEGIN
    PERFORM lock_scores_alone(ARRAY(SELECT DISTINCT project_id FROM old_scores));
    gone := ARRAY(
        SELECT ROW(
            project_id, w.bucket, count(*), min(numeric_value), max(numeric_value), w.width, name, data_type, source,
            environment, coalesce(categorical_value, boolean_value::text, ''),
            sum(numeric_value::text::numeric), sum(numeric_value::text::numeric * numeric_value::text::numeric)
        )::score_rollups
        FROM old_scores
        CROSS JOIN LATERAL (
            VALUES
                ('quarter', date_bin('15 minutes', scored_at, 'epoch')),
                ('day', date_bin('1 day', scored_at, 'epoch')),
                ('month', date_trunc('month', scored_at, 'UTC'))
        ) AS w (width, bucket)
        GROUP BY
            project_id, w.bucket, w.width, name, data_type, source, environment,
            coalesce(categorical_value, boolean_value::text, '')
    );
    PERFORM subtract_from_score_rollups(gone);
    PERFORM read_quarter_extremes_again(gone);
    PERFORM read_extremes_again(gone, 'day', '1 day', 'quarter');  -- from the quarters: hence after them
    PERFORM read_extremes_again(gone, 'month', '1 month', 'day');
    RETURN NULL;
END
$$;

-- Buckets of `coarse`, which are `step` long, from those of `fine`. A month is as long as UTC's calendar says.
CREATE FUNCTION read_extremes_again(gone score_rollups[], coarse text, step interval, fine text) RETURNS void
    LANGUAGE plpgsql SET plan_cache_mode = force_custom_plan SET timezone = 'UTC' AS $$
BEGIN
    INSERT INTO score_rollups AS r
        (project_id, width, bucket, name, data_type, source, environment, label, count, sum, sum_squares, min, max)
    SELECT c.project_id, coarse, c.bucket, c.name, 'NUMERIC', f.source, f.environment, '', 0, 0, 0, f.min, f.max
    FROM (
        SELECT DISTINCT project_id, name, bucket FROM buckets_now(gone)
        WHERE width = coarse AND (gone_min <= min OR gone_max >= max)
    ) AS c
    CROSS JOIN LATERAL (
        SELECT source, environment, min(min) AS min, max(max) AS max FROM score_rollups
        WHERE project_id = c.project_id AND width = fine AND name = c.name AND data_type = 'NUMERIC'
            AND bucket >= c.bucket AND bucket < c.bucket + step
        GROUP BY source, environment
    ) AS f
    ON CONFLICT (project_id, width, name, bucket, data_type, source, environment, (md5(label)::uuid)) DO UPDATE
    SET min = excluded.min, max = excluded.max
    WHERE (r.min, r.max) IS DISTINCT FROM (excluded.min, excluded.max);
END
$$;

DROP FUNCTION read_day_extremes_again(score_rollups[]);

INSERT INTO score_rollups
    (project_id, width, bucket, name, data_type, source, environment, label, count, sum, sum_squares, min, max)
SELECT
    project_id, 'month', date_trunc('month', bucket, 'UTC'), name, data_type, source, environment, label,
    sum(count), sum(sum), sum(sum_squares), min(min), max(max)
FROM score_rollups
WHERE width = 'day'
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8;
