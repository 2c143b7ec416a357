import type { Type } from '@nestjs/common';
import { ApiOkResponse, ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { Transform } from 'class-transformer';
import { IsInt, IsOptional, IsString, Max, Min } from 'class-validator';

/** The maximum number of rows on a page. */
export const MAX_LIMIT = 1000;
const limitRule = { message: `must be a whole number from 1 to ${MAX_LIMIT}` };

/** One page of a list. */
export interface Page<T> {
  readonly data: readonly T[];
  readonly next_cursor: string | null;
}

/** The parameters of every list. */
export class PageQuery {
  @ApiPropertyOptional({
    type: 'integer',
    minimum: 1,
    maximum: MAX_LIMIT,
    default: 50,
    description: `Maximum number of rows, 1 to ${MAX_LIMIT}.`,
  })
  @IsOptional()
  @Transform(({ value }: { value: unknown }) => toInteger(value))
  @IsInt(limitRule)
  @Min(1, limitRule)
  @Max(MAX_LIMIT, limitRule)
  limit: number = 50;

  @ApiPropertyOptional({ type: String, description: 'The `next_cursor` of the previous page, with the same filters.' })
  @IsOptional()
  @IsString({ message: 'must be given once' })
  cursor?: string;
}

/**
 * Makes a page of rows. A reader reads one row more than `limit`: that row says only that there is a next page.
 *
 * @param rows at most `limit + 1` rows
 * @param writeCursor returns the cursor of the page that begins after a row
 * @param available how many rows there are up to `limit + 1`, if `rows` was cut to the size of a response
 */
export function toPage<R, T>(
  rows: readonly R[],
  limit: number,
  toResponse: (row: R) => T,
  writeCursor: (last: R) => string,
  available = rows.length,
): Page<T> {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const next_cursor = available > shown.length && last !== undefined ? writeCursor(last) : null;
  return { data: shown.map(toResponse), next_cursor };
}

/** The schema of a page. A class that extends it gives the schema its name in generated clients. */
export function PageOf<T>(item: Type<T>): Type<Page<T>> {
  class PageResponse implements Page<T> {
    @ApiProperty({ type: [item], description: 'At most `limit` rows.' })
    readonly data: readonly T[];

    @ApiProperty({
      type: String,
      nullable: true,
      description: 'The cursor of the next page; null on the last one. Opaque.',
      example: null,
    })
    readonly next_cursor: string | null;
  }
  return PageResponse;
}

/** Documents a response with a page. */
export function ApiPage(type: Type<Page<unknown>>): MethodDecorator {
  return ApiOkResponse({ type, description: 'One page.' });
}

function toInteger(value: unknown): unknown {
  return typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value;
}
