import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsOptional, IsString } from 'class-validator';
import type { RevealEntity } from '../../database/entities.js';
import { IsStorableText } from '../../database/storable-text.js';
import { PageOf, PageQuery } from '../../http/rest/page.js';
import { IsTime } from '../../http/rest/time.js';

/** A page of the records that match. */
export class AuditQuery extends PageQuery {
  @ApiPropertyOptional({ description: 'What this API key was shown, by its name, for example `collections`.' })
  @IsOptional()
  @IsString({ message: 'must be given once' })
  @IsStorableText()
  key?: string;

  @ApiPropertyOptional({
    format: 'date-time',
    description: 'Shown at this time or later, for example `2026-01-31T00:00:00Z`.',
  })
  @IsOptional()
  @IsTime()
  from?: string;

  @ApiPropertyOptional({
    format: 'date-time',
    description: 'Shown before this time, for example `2026-02-01T00:00:00Z`.',
  })
  @IsOptional()
  @IsTime()
  to?: string;
}

/** What one request was shown of people, within a minute. */
export class RevealResponse {
  @ApiProperty({
    format: 'uuid',
    description: 'Id of the record; the greatest is the newest.',
    example: '0198c7a2-5f0f-7b11-8c2e-4d1f0a9b3c77',
  })
  id: string;

  @ApiProperty({
    format: 'date-time',
    description: 'When it was shown. What takes longer than a minute has a record for each minute, with its begin.',
    example: '2026-01-31T09:30:00.000Z',
  })
  at: string;

  @ApiProperty({ description: 'Name of the API key.', example: 'collections' })
  key: string;

  @ApiProperty({
    description: 'Method and path as this document has them, without the ids of a path.',
    example: 'GET /v1/cases/{id}',
  })
  endpoint: string;

  @ApiProperty({ type: 'integer', description: 'How many phone numbers were shown whole.', example: 50 })
  numbers: number;

  @ApiProperty({ type: 'integer', description: 'How many bodies were shown as received.', example: 0 })
  bodies: number;

  @ApiProperty({
    format: 'uuid',
    description: 'The X-Request-Id of the answer.',
    example: '0198c7a2-5f0e-7c3a-9d41-2f6b8e1c7a55',
  })
  request_id: string;

  static from(this: void, { id, at, key_name, endpoint, numbers, bodies, request_id }: RevealEntity): RevealResponse {
    return { id, at: at.toISOString(), key: key_name, endpoint, numbers, bodies, request_id };
  }
}

export class RevealsPage extends PageOf(RevealResponse) {}
