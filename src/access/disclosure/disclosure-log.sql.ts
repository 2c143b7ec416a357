/**
 * One round trip, and no wait for the disk: `set_config` holds for the transaction that this statement is. What a crash of
 * PostgreSQL itself may lose by that are the last moments before it (docs/decisions/0014-reveal-audit.md).
 */
export const RECORD = `
  WITH unhurried AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
  INSERT INTO reveals (id, at, key_name, endpoint, request_id, numbers, bodies)
  SELECT told.*
  FROM unhurried, unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::uuid[], $6::integer[], $7::integer[]) AS told
  ON CONFLICT (id) DO UPDATE SET
    numbers = reveals.numbers + excluded.numbers,
    bodies = reveals.bodies + excluded.bodies`;
