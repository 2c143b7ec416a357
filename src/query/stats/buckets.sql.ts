/**
 * The bounds of the buckets: the times of the query, and the start of every hour or day between them. No rows if the
 * interval is empty. Parameters: earliest and latest time, each may be null; the current time; the time zone.
 */
export const BOUNDS = {
  /** Sixty minutes each. The first bucket begins at a full hour of the time zone. */
  hour: bounds(
    `date_trunc('hour', $3::timestamptz, $4) + interval '1 hour'`,
    `upper - interval '24 hours'`,
    `SELECT generate_series(date_trunc('hour', lower, $4), upper, interval '1 hour') FROM asked`,
  ),
  /** 23 or 25 hours at a change of daylight saving time, which some time zones have at midnight. */
  day: bounds(
    startOfDay(`date_trunc('day', $3::timestamptz AT TIME ZONE $4) + interval '1 day'`),
    `(upper AT TIME ZONE $4 - interval '30 days') AT TIME ZONE $4`,
    `SELECT ${startOfDay('day')} FROM asked,
       generate_series(date_trunc('day', lower AT TIME ZONE $4), upper AT TIME ZONE $4, interval '1 day') AS day`,
  ),
};

function bounds(latest: string, earliest: string, beginnings: string): string {
  return `
    WITH latest AS (SELECT coalesce($2::timestamptz, ${latest}) AS upper),
    asked AS (SELECT coalesce($1::timestamptz, ${earliest}) AS lower, upper FROM latest),
    beginnings (at) AS (${beginnings})
    SELECT lower AS at FROM asked WHERE lower < upper
    UNION SELECT upper FROM asked WHERE lower < upper
    UNION SELECT at FROM beginnings, asked WHERE at > lower AND at < upper
    ORDER BY at`;
}

/** PostgreSQL resolves a repeated midnight to the second one, and a skipped one to the transition. */
function startOfDay(day: string): string {
  const midnight = `((${day}) AT TIME ZONE $4)`;
  const hourBefore = `${midnight} - interval '1 hour'`;
  return `CASE WHEN (${hourBefore}) AT TIME ZONE $4 >= (${day}) THEN ${hourBefore} ELSE ${midnight} END`;
}
