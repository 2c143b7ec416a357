/**
 * A response holds rows of variable-length content up to this size, and one more row: a row may be as large as a body.
 */
export const MAX_CONTENT_BYTES = 8 * 2 ** 20;

/**
 * Limits rows to the size of a response. Each row has its `bytes`, and the number of rows before the limit as
 * `total_rows`.
 *
 * @param rows a statement
 * @param bytes an expression of its columns: the size of a row
 * @param order its columns in the order of the response
 */
export const limitByBytes = (rows: string, bytes: string, order: string): string => `
  SELECT * FROM (
    SELECT whole.*, count(*) OVER () AS total_rows, sum(bytes) OVER (ORDER BY ${order}) AS bytes_so_far
    FROM (SELECT *, ${bytes} AS bytes FROM (${rows}) AS given) AS whole) AS sized
  WHERE bytes_so_far - bytes <= ${MAX_CONTENT_BYTES}`;
