/**
 * When buckets begin and end: the times asked for, and every beginning of an hour or a day between them. Parameters:
 * earliest and latest time, each may be null, the present time, the time zone. No rows where the interval is empty.
 */
export const BOUNDS = {
  /** Sixty minutes each, from the full hour of the time zone in which the first one begins. */
  hour: bounds(
    `date_trunc('hour', $3::timestamptz, $4) + interval '1 hour'`,
    `upper - interval '24 hours'`,
    `SELECT generate_series(date_trunc('hour', lower, $4), upper, interval '1 hour') FROM asked`,
  ),
  /** Of 23 or 25 hours where the clocks are changed, which some do at midnight. */
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

/** A midnight that is there twice is read as the second one, one that is left out as the moment of the change. */
function startOfDay(day: string): string {
  const midnight = `((${day}) AT TIME ZONE $4)`;
  const hourBefore = `${midnight} - interval '1 hour'`;
  return `CASE WHEN (${hourBefore}) AT TIME ZONE $4 >= (${day}) THEN ${hourBefore} ELSE ${midnight} END`;
}
