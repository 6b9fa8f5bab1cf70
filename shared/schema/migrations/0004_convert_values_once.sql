-- Each value becomes a decimal once, not three times: OFFSET 0 keeps the planner from copying the expression.

CREATE OR REPLACE FUNCTION add_to_score_rollups() RETURNS trigger LANGUAGE plpgsql AS $$
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
